import { Controller } from '@nestjs/common';
import { rewrapMasterKey } from '@tenantry/contracts/identity/key-routes';
import { masterKeyState } from '@tenantry/contracts/identity/operations';
import { Handles } from '@tenantry/messaging/handles';
import { type Call, type Reply, RpcClient } from '@tenantry/messaging/rpc';
import { Jobs } from '../job/jobs.js';
import { REWRAP_KEYS, rewrapItems } from './rewrap-keys.job.js';

const CONCURRENCY = 2;

@Controller()
export class RewrapMasterKeyRpc {
  constructor(
    private readonly jobs: Jobs,
    private readonly rpc: RpcClient,
  ) {}

  @Handles(rewrapMasterKey)
  async handle({ command }: Call<typeof rewrapMasterKey>): Reply<typeof rewrapMasterKey> {
    const { current } = await this.rpc.call(masterKeyState, {});
    const id = await this.jobs.start(
      { type: REWRAP_KEYS, params: { to: current }, items: rewrapItems(), concurrency: CONCURRENCY },
      command,
    );
    const operation = { id, url: `/api/v1/platform/operations/${id}` };
    // Of the first time, where this is a repeat.
    const { to } = (await this.jobs.params(id)) as { to: string };
    return { status: 202, body: { masterKey: to, operation }, location: operation.url };
  }
}
