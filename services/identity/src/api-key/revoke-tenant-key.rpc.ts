import { Controller } from '@nestjs/common';
import { Clock } from '@tenantry/contracts/clock';
import { DomainError } from '@tenantry/contracts/errors';
import { revokeTenantKey } from '@tenantry/contracts/identity/routes';
import type { RouteAnswer } from '@tenantry/contracts/route';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { Handles } from '@tenantry/messaging/handles';
import type { Call } from '@tenantry/messaging/rpc';
import { apiKey, revoke } from './api-key.js';
import { ApiKeyTable } from './api-key-table.js';

@Controller()
export class RevokeTenantKeyRpc {
  constructor(
    private readonly log: TenantLog,
    private readonly table: ApiKeyTable,
    private readonly clock: Clock,
  ) {}

  @Handles(revokeTenantKey)
  async handle({ tenantId, params: { keyId }, command }: Call<typeof revokeTenantKey>): Promise<RouteAnswer<typeof revokeTenantKey>> {
    // The row first: a key that must not work any more must not outlive a crash. A retry records what is not recorded yet.
    const revoked = await this.table.revoke(tenantId, keyId, this.clock.now());
    if (!revoked) throw new DomainError('api_key.not_found');
    const { version, position } = await this.log.transact(
      apiKey,
      { tenant: tenantId, stream: `api-key-${keyId}`, command },
      revoke({ keyId, reason: 'manual', revokedAt: revoked.revokedAt ?? this.clock.now() }),
    );
    return { status: 200, body: revoked, version, position: { tenantId, position } };
  }
}
