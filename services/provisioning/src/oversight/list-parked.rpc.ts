import { Controller } from '@nestjs/common';
import { listParked, oversightOf } from '@tenantry/contracts/platform/consumers';
import { Handles } from '@tenantry/messaging/handles';
import { type Call, type Reply, RpcClient } from '@tenantry/messaging/rpc';
import { askAll, decodeAfter, pageOf, servicesFrom } from './fan-out.js';

const DEFAULT_LIMIT = 50;

@Controller()
export class ListParkedRpc {
  constructor(private readonly rpc: RpcClient) {}

  @Handles(listParked)
  async handle({ query }: Call<typeof listParked>): Reply<typeof listParked> {
    const { cursor, limit = DEFAULT_LIMIT, service: only, tenantId } = query;
    const after = decodeAfter(cursor, 1);
    const { answers, unanswered } = await askAll(servicesFrom(after, only), (service) =>
      this.rpc.call(oversightOf(service).parked, {
        after: after?.service === service ? (after.key[0] ?? null) : null,
        limit: limit + 1,
        tenantId,
      }),
    );
    return { status: 200, body: { ...pageOf(answers, limit, (item) => [item.id]), unanswered } };
  }
}
