import { Controller } from '@nestjs/common';
import { openKeys } from '@tenantry/contracts/identity/operations';
import { Handles } from '@tenantry/messaging/handles';
import type { z } from 'zod';
import { KeyStore } from './key-store.js';

/** Never from a cache of its own, as with `keys.ensure`. */
@Controller()
export class OpenKeysRpc {
  constructor(private readonly store: KeyStore) {}

  @Handles(openKeys)
  async handle({ tenantId, ids }: z.infer<typeof openKeys.input>): Promise<z.infer<typeof openKeys.output>> {
    const keys = await this.store.open(tenantId, ids);
    return { keys: keys.map(({ id, key }) => ({ id, key: key.toString('base64') })) };
  }
}
