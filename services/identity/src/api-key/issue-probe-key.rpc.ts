import { Controller } from '@nestjs/common';
import { issueProbeKey } from '@tenantry/contracts/identity/operations';
import { newId } from '@tenantry/contracts/ids';
import { faces } from '@tenantry/contracts/registry';
import { createApiKey } from '@tenantry/crypto/api-key';
import { Handles } from '@tenantry/messaging/handles';
import { Environment } from '@tenantry/service/environment';
import type { z } from 'zod';
import { ApiKeyTable } from './api-key-table.js';

const LIFETIME_SECONDS = 60;
/** All that a tenant may read of itself. */
const READING = [
  ...new Set(
    faces.flatMap(({ scope, method, permission }) => (scope === 'tenant' && method === 'GET' && permission !== null ? [permission] : [])),
  ),
];

@Controller()
export class IssueProbeKeyRpc {
  constructor(
    private readonly table: ApiKeyTable,
    private readonly environment: Environment,
  ) {}

  @Handles(issueProbeKey)
  async handle({ tenantId }: z.infer<typeof issueProbeKey.input>): Promise<z.infer<typeof issueProbeKey.output>> {
    const { key, hash, prefix } = createApiKey(this.environment.values.TENANTRY_ENVIRONMENT);
    await this.table.insertProbe({ hash, keyId: newId(), tenantId, prefix, permissions: READING }, LIFETIME_SECONDS);
    return { key };
  }
}
