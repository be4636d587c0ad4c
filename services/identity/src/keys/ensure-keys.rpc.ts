import { Controller } from '@nestjs/common';
import { ensureKeys } from '@tenantry/contracts/identity/operations';
import { Handles } from '@tenantry/messaging/handles';
import type { z } from 'zod';
import { KeyStore } from './key-store.js';

/**
 * What others cache for five minutes. Never from a cache of its own: two of them would keep a key for twice as long after its destruction,
 * and the destruction is by one replica, which the others don't hear of.
 */
@Controller()
export class EnsureKeysRpc {
  constructor(private readonly store: KeyStore) {}

  @Handles(ensureKeys)
  async handle({ tenantId, subjects }: z.infer<typeof ensureKeys.input>): Promise<z.infer<typeof ensureKeys.output>> {
    const { keys } = await this.store.ensure(tenantId, subjects);
    return { keys: keys.map(({ subject, id, key }) => ({ subject, id, key: key.toString('base64') })) };
  }
}
