import { Controller } from '@nestjs/common';
import { ensureKeys } from '@tenantry/contracts/identity/operations';
import { Keyring } from '@tenantry/crypto/keyring';
import { Handles } from '@tenantry/messaging/handles';
import type { z } from 'zod';

@Controller()
export class EnsureKeysRpc {
  constructor(private readonly keyring: Keyring) {}

  @Handles(ensureKeys)
  async handle({ tenantId, subjects }: z.infer<typeof ensureKeys.input>): Promise<z.infer<typeof ensureKeys.output>> {
    const keys = await this.keyring.keys(tenantId, subjects);
    return { keys: [...keys].map(([subject, { id, key }]) => ({ subject, id, key: key.toString('base64') })) };
  }
}
