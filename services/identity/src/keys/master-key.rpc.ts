import { Controller } from '@nestjs/common';
import { getMasterKey } from '@tenantry/contracts/identity/key-routes';
import { masterKeyState, rewrapKeys } from '@tenantry/contracts/identity/operations';
import { Handles } from '@tenantry/messaging/handles';
import type { Call, Reply } from '@tenantry/messaging/rpc';
import type { z } from 'zod';
import { MasterKeys } from './master-keys.js';

@Controller()
export class MasterKeyRpc {
  constructor(private readonly keys: MasterKeys) {}

  @Handles(getMasterKey)
  async get(_call: Call<typeof getMasterKey>): Reply<typeof getMasterKey> {
    return { status: 200, body: await this.keys.state() };
  }

  @Handles(masterKeyState)
  async state(): Promise<z.infer<typeof masterKeyState.output>> {
    return { current: this.keys.current };
  }

  @Handles(rewrapKeys)
  rewrap({ to, portion, from }: z.infer<typeof rewrapKeys.input>): Promise<z.infer<typeof rewrapKeys.output>> {
    return this.keys.rewrap(to, portion, from);
  }
}
