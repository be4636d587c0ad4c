import { Controller } from '@nestjs/common';
import { Clock } from '@tenantry/contracts/clock';
import { DomainError } from '@tenantry/contracts/errors';
import { createTenantKey } from '@tenantry/contracts/identity/routes';
import { derivedId } from '@tenantry/contracts/ids';
import type { RouteAnswer } from '@tenantry/contracts/route';
import { createApiKey } from '@tenantry/crypto/api-key';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { Handles } from '@tenantry/messaging/handles';
import type { Call } from '@tenantry/messaging/rpc';
import { Environment } from '@tenantry/service/environment';
import { requireTenant } from '../require-tenant.js';
import { apiKey, create, type KeyCreated } from './api-key.js';
import { ApiKeyTable } from './api-key-table.js';
import { endOfNew } from './expiry.js';
import { People } from './people.js';
import { grantable } from './permission.js';

@Controller()
export class CreateTenantKeyRpc {
  constructor(
    private readonly log: TenantLog,
    private readonly table: ApiKeyTable,
    private readonly clock: Clock,
    private readonly environment: Environment,
    private readonly people: People,
  ) {}

  @Handles(createTenantKey)
  async handle({ tenantId, body, command }: Call<typeof createTenantKey>): Promise<RouteAnswer<typeof createTenantKey>> {
    const held = command.principal.permissions;
    // Without a choice: everything that the caller himself may do.
    const permissions = grantable(held, body.permissions ?? (held.includes('*') ? ['*'] : held));
    await requireTenant(this.log, tenantId);
    const { key, hash, prefix } = createApiKey(this.environment.values.TENANTRY_ENVIRONMENT);
    const expiresAt = endOfNew(body.expiresAt, await this.table.endOf(command.principal.id), this.clock);
    const keyId = derivedId('api-key', tenantId, command.id);
    const person = await this.people.ofNew(keyId, command.principal);
    const created = { keyId, name: body.name, permissions, prefix, createdAt: this.clock.now(), expiresAt };
    const { events, version, position } = await this.log.transact(
      apiKey,
      { tenant: tenantId, stream: `api-key-${created.keyId}`, command },
      create(created),
    );
    // The event first: whoever then stores the hash shows the secret. After a crash between the two that is the retry.
    // The name as the event has it, that is encrypted.
    const { name } = (events[0] as { data: KeyCreated }).data;
    const stored = await this.table.insert({ ...created, name, hash, tenantId, person });
    if (!stored) throw new DomainError('idempotency.secret_already_shown');
    const { owner: _, person: __, ...shown } = stored;
    return { status: 201, body: { ...shown, key }, version, position: { tenantId, position }, secret: true };
  }
}
