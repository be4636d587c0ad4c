import { Controller } from '@nestjs/common';
import { signDocument } from '@tenantry/contracts/identity/operations';
import { signDetached } from '@tenantry/crypto/signature';
import { Handles } from '@tenantry/messaging/handles';
import type { z } from 'zod';
import { SigningKeys } from './signing-keys.js';

/** Signs for the services: the private key never leaves this one. */
@Controller()
export class SignRpc {
  constructor(private readonly keys: SigningKeys) {}

  @Handles(signDocument)
  async handle({ purpose, text }: z.infer<typeof signDocument.input>): Promise<z.infer<typeof signDocument.output>> {
    const key = await this.keys.current();
    return { keyId: key.kid, signature: signDetached(key, purpose, text) };
  }
}
