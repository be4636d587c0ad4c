import { Controller } from '@nestjs/common';
import { publicKeys } from '@tenantry/contracts/identity/signing';
import { Handles } from '@tenantry/messaging/handles';
import type { Call, Reply } from '@tenantry/messaging/rpc';
import { SigningKeys } from './signing-keys.js';

@Controller()
export class PublicKeysRpc {
  constructor(private readonly keys: SigningKeys) {}

  @Handles(publicKeys)
  async handle(_call: Call<typeof publicKeys>): Reply<typeof publicKeys> {
    return { status: 200, body: { keys: await this.keys.published() } };
  }
}
