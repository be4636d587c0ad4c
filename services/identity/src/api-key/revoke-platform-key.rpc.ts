import { Controller } from '@nestjs/common';
import { Clock } from '@tenantry/contracts/clock';
import { DomainError } from '@tenantry/contracts/errors';
import { revokePlatformKey } from '@tenantry/contracts/identity/routes';
import { PLATFORM_LOG } from '@tenantry/contracts/ids';
import type { RouteAnswer } from '@tenantry/contracts/route';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { Handles } from '@tenantry/messaging/handles';
import type { Call } from '@tenantry/messaging/rpc';
import { permits } from '@tenantry/service/authorize';
import { platformKey, revokeForPlatform } from './api-key.js';
import { ApiKeyTable } from './api-key-table.js';

@Controller()
export class RevokePlatformKeyRpc {
  constructor(
    private readonly log: TenantLog,
    private readonly table: ApiKeyTable,
    private readonly clock: Clock,
  ) {}

  @Handles(revokePlatformKey)
  async handle({ params: { keyId }, command }: Call<typeof revokePlatformKey>): Promise<RouteAnswer<typeof revokePlatformKey>> {
    // The row first, as for a tenant's key.
    const revoked = await this.table.revokePlatform(keyId, this.clock.now(), permits(command.principal.permissions, 'personal:read'));
    if (!revoked) throw new DomainError('api_key.not_found');
    const { version, position } = await this.log.transact(
      platformKey,
      { tenant: PLATFORM_LOG, stream: `platform-key-${keyId}`, command },
      revokeForPlatform({ keyId, reason: 'manual', revokedAt: revoked.revokedAt ?? this.clock.now() }),
    );
    return { status: 200, body: revoked, version, position: { tenantId: PLATFORM_LOG, position } };
  }
}
