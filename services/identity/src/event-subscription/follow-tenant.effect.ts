import { Injectable } from '@nestjs/common';
import { Clock } from '@tenantry/contracts/clock';
import { derivedId } from '@tenantry/contracts/ids';
import { accessAfter, type TenantAccess } from '@tenantry/contracts/tenant/access';
import { EventStore } from '@tenantry/event-store/port';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { type Effect, EffectHandler } from '@tenantry/messaging/effects';
import { Database } from '@tenantry/service/database';
import { Broker } from './broker.js';
import { eventSubscription, followTenant, streamOf } from './event-subscription.js';
import { subscriptionsOf } from './event-subscriptions.projection.js';

/** Deliveries to the tenant's own subscribers stop and go on with the tenant; those to the platform's own go on. */
@Injectable()
export class FollowTenantEffect extends EffectHandler {
  override readonly effect = 'follow-tenant';
  override readonly maxAttempts = Number.MAX_SAFE_INTEGER;

  constructor(
    private readonly log: TenantLog,
    private readonly store: EventStore,
    private readonly database: Database,
    private readonly broker: Broker,
    private readonly clock: Clock,
  ) {
    super();
  }

  override async run({ id, tenantId, causationId }: Effect): Promise<void> {
    // The list is from before this event was handled, in the same transaction; what was made since came after it.
    const [subscriptions, { events }] = await Promise.all([
      subscriptionsOf(this.database, tenantId),
      this.store.readStream(tenantId, 'tenant'),
    ]);
    const isOpen = events.reduce<TenantAccess>(accessAfter, 'open') === 'open';
    await Promise.all(subscriptions.map(({ subscriptionId }) => this.follow(tenantId, subscriptionId, isOpen, { id, causationId })));
  }

  private async follow(
    tenantId: string,
    subscriptionId: string,
    isOpen: boolean,
    cause: { id: string; causationId: string },
  ): Promise<void> {
    const command = {
      id: derivedId('event-subscription.follow-tenant', cause.id, subscriptionId, isOpen ? 'open' : 'closed'),
      actor: { kind: 'service', id: 'identity' } as const,
      causationId: cause.causationId,
    };
    const target = { tenant: tenantId, stream: streamOf(subscriptionId), command };
    const { events } = await this.log.transact(eventSubscription, target, followTenant(isOpen, this.clock.now()));
    // The broker hears of it by the event, too; at once it is quicker.
    if (events.length > 0 && this.broker.configured) await this.broker.provisioner.provision(tenantId, subscriptionId);
  }
}
