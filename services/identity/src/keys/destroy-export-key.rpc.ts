import { Controller } from '@nestjs/common';
import { destroyExportKey } from '@tenantry/contracts/identity/operations';
import { PLATFORM_LOG } from '@tenantry/contracts/ids';
import { Keyring } from '@tenantry/crypto/keyring';
import { Handles } from '@tenantry/messaging/handles';
import type { z } from 'zod';
import { KeyStore } from './key-store.js';

@Controller()
export class DestroyExportKeyRpc {
  constructor(
    private readonly keys: KeyStore,
    private readonly keyring: Keyring,
  ) {}

  @Handles(destroyExportKey)
  async handle({ subject }: z.infer<typeof destroyExportKey.input>): Promise<z.infer<typeof destroyExportKey.output>> {
    await this.keys.destroySubject(PLATFORM_LOG, subject);
    this.keyring.forget(PLATFORM_LOG);
    return {};
  }
}
