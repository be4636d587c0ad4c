import { Controller } from '@nestjs/common';
import { Clock } from '@tenantry/contracts/clock';
import { DomainError } from '@tenantry/contracts/errors';
import { createPlatformKey } from '@tenantry/contracts/identity/routes';
import { derivedId, PLATFORM_LOG } from '@tenantry/contracts/ids';
import type { RouteAnswer } from '@tenantry/contracts/route';
import { createApiKey } from '@tenantry/crypto/api-key';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { Handles } from '@tenantry/messaging/handles';
import type { Call } from '@tenantry/messaging/rpc';
import { Environment } from '@tenantry/service/environment';
import { createForPlatform, type PlatformKeyMade, platformKey } from './api-key.js';
import { ApiKeyTable } from './api-key-table.js';
import { endOfNew } from './expiry.js';
import { People } from './people.js';
import { grantable } from './permission.js';

@Controller()
export class CreatePlatformKeyRpc {
  constructor(
    private readonly log: TenantLog,
    private readonly table: ApiKeyTable,
    private readonly clock: Clock,
    private readonly environment: Environment,
    private readonly people: People,
  ) {}

  @Handles(createPlatformKey)
  async handle({ body, command }: Call<typeof createPlatformKey>): Promise<RouteAnswer<typeof createPlatformKey>> {
    const permissions = grantable(command.principal.permissions, body.permissions ?? ['*']);
    const { key, hash, prefix } = createApiKey(this.environment.values.TENANTRY_ENVIRONMENT);
    const keyId = derivedId('platform-key', command.id);
    const { name, owner } = body;
    const expiresAt = endOfNew(body.expiresAt, await this.table.endOf(command.principal.id), this.clock);
    const person = await this.people.ofNew(keyId, command.principal, owner);
    const created = { keyId, name, permissions, owner, person, expiresAt, createdAt: this.clock.now() };
    const { events, version, position } = await this.log.transact(
      platformKey,
      { tenant: PLATFORM_LOG, stream: `platform-key-${created.keyId}`, command },
      createForPlatform(created),
    );
    // As for a tenant's key: whoever stores the hash shows the secret.
    const sealed = (events[0] as { data: PlatformKeyMade }).data.owner;
    const stored = await this.table.insert({ ...created, owner: sealed, hash, prefix, tenantId: null });
    if (!stored) throw new DomainError('idempotency.secret_already_shown');
    return { status: 201, body: { ...stored, key }, version, position: { tenantId: PLATFORM_LOG, position }, secret: true };
  }
}
