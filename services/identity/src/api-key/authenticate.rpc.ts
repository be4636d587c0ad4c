import { Controller } from '@nestjs/common';
import { authenticate } from '@tenantry/contracts/identity/operations';
import { Handles } from '@tenantry/messaging/handles';
import type { z } from 'zod';
import { ApiKeyTable } from './api-key-table.js';
import { People } from './people.js';

@Controller()
export class AuthenticateRpc {
  constructor(
    private readonly table: ApiKeyTable,
    private readonly people: People,
  ) {}

  @Handles(authenticate)
  async handle({ keyHash }: z.infer<typeof authenticate.input>): Promise<z.infer<typeof authenticate.output>> {
    const found = await this.table.find(keyHash);
    if (!found) return { principal: null };
    const { keyId: id, tenantId, permissions } = found;
    const person = await this.people.of(found);
    return {
      principal: tenantId === null ? { kind: 'staff', id, person, permissions } : { kind: 'api-key', id, person, tenantId, permissions },
    };
  }
}
