import { createAccount } from '@nats-io/nkeys';
import { Controller } from '@nestjs/common';
import { Clock } from '@tenantry/contracts/clock';
import { type CreateEventSubscription, ofPlatform, ofTenant } from '@tenantry/contracts/identity/event-subscriptions';
import { derivedId, PLATFORM_LOG, PLATFORM_SECURITY_LOG } from '@tenantry/contracts/ids';
import type { CommandContext, RouteAnswer } from '@tenantry/contracts/route';
import { EventStore } from '@tenantry/event-store/port';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { Handles } from '@tenantry/messaging/handles';
import type { Call } from '@tenantry/messaging/rpc';
import { Database } from '@tenantry/service/database';
import { invalid } from '@tenantry/service/validation';
import type { z } from 'zod';
import { ApiKeyTable } from '../api-key/api-key-table.js';
import { requireTenant } from '../require-tenant.js';
import { Broker } from './broker.js';
import { logOf, mayReadEvents } from './caller.js';
import { create, eventSubscription, streamOf } from './event-subscription.js';
import { untilSeen } from './event-subscriptions.projection.js';
import { grantOf } from './grant.js';
import { Shown } from './shown.js';
import { startOf } from './start.js';

type Body = Omit<z.infer<typeof CreateEventSubscription>, 'tenants'> & { tenants?: 'all' | string[] };

@Controller()
export class CreateEventSubscriptionRpc {
  constructor(
    private readonly log: TenantLog,
    private readonly store: EventStore,
    private readonly broker: Broker,
    private readonly database: Database,
    private readonly shown: Shown,
    private readonly keys: ApiKeyTable,
    private readonly clock: Clock,
  ) {}

  @Handles(ofPlatform.create)
  forPlatform({ body, command }: Call<typeof ofPlatform.create>): Promise<RouteAnswer<typeof ofPlatform.create>> {
    return this.create('', body, command);
  }

  @Handles(ofTenant.create)
  async forTenant({ tenantId, body, command }: Call<typeof ofTenant.create>): Promise<RouteAnswer<typeof ofTenant.create>> {
    await requireTenant(this.log, tenantId);
    return this.create(tenantId, body, command);
  }

  private async create(tenantId: string, body: Body, command: CommandContext): Promise<RouteAnswer<typeof ofPlatform.create>> {
    mayReadEvents(command.principal);
    const { provisioner } = this.broker;
    const grant = grantOf(body, tenantId === '' ? null : tenantId);
    await this.requireTenants(grant.tenants, body.tenants);
    const now = this.clock.now();
    const { from, startsAt } = await startOf(this.store, body.from, grant.tenants, now);
    const logId = logOf(tenantId);
    const subscriptionId = derivedId('event-subscription', logId, command.id);
    const { version, position } = await this.log.transact(
      eventSubscription,
      { tenant: logId, stream: streamOf(subscriptionId), command },
      // Nobody needs the account's own seed: its JWT is signed by the operator, its users by the platform's key. So nobody has it.
      create({ subscriptionId, name: body.name, ...grant, from, startsAt, account: createAccount().getPublicKey(), createdAt: now }),
    );
    // As for API keys: after a crash between the event and the credentials, the retry makes and shows them.
    const expiresAt = await this.keys.endOf(command.principal.id);
    const { of, issued, text } = await provisioner.issue(logId, subscriptionId, 1, expiresAt);
    await untilSeen(this.database, subscriptionId, version);
    return {
      status: 201,
      body: { ...(await this.shown.of(logId, of, issued)), credentials: text },
      version,
      position: { tenantId: logId, position },
      secret: true,
    };
  }

  /** @throws DomainError `request.invalid` that names each */
  private async requireTenants(tenants: 'all' | string[], asked: Body['tenants']): Promise<void> {
    if (tenants === 'all') return;
    const heads = await this.log.heads({ tenantIds: tenants });
    const logs = new Set(heads.filter(({ position }) => position >= 0).map(({ tenantId }) => tenantId));
    for (const log of [PLATFORM_LOG, PLATFORM_SECURITY_LOG]) logs.delete(log);
    const given = Array.isArray(asked) ? asked : tenants;
    const errors = given.flatMap((tenantId, index) =>
      logs.has(tenantId.toLowerCase()) ? [] : [{ field: `tenants.${index}`, rule: 'not_found', message: `there is no tenant ${tenantId}` }],
    );
    if (errors.length > 0) throw invalid(errors);
  }
}
