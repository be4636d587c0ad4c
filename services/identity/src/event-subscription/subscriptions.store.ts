import { Injectable } from '@nestjs/common';
import { Clock } from '@tenantry/contracts/clock';
import { derivedId, PLATFORM_LOG } from '@tenantry/contracts/ids';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { Database } from '@tenantry/service/database';
import { TenantStore } from '@tenantry/service/tenant-store';
import { Broker } from './broker.js';
import { eventSubscription, existing, revoke, streamOf } from './event-subscription.js';
import { subscriptionsOf } from './event-subscriptions.projection.js';
import { consumersOf } from './grant.js';

/** What they have rows in beside the list; a process that was late may have written one. */
const tables = ['event_subscription_credentials', 'event_subscription_progress', 'event_subscription_leases'];

/** Event subscriptions of an erased tenant, and the platform's that are for that tenant alone, with their accounts and consumers on the broker. */
@Injectable()
export class SubscriptionsStore extends TenantStore {
  readonly store = 'broker: consumers and accounts';
  readonly query =
    'each subscription that the tenant’s log names, and the platform’s for it alone: its state, its consumers on the broker; rows of event_subscription_credentials, _progress and _leases by those ids';
  constructor(
    private readonly log: TenantLog,
    private readonly database: Database,
    private readonly broker: Broker,
    private readonly clock: Clock,
  ) {
    super();
  }

  override async erase(tenantId: string): Promise<void> {
    // One after the other: each may have some dozens of consumers.
    for (const subscription of await this.of(tenantId)) {
      if ((await this.left(subscription)) === 0) continue;
      const { logId, subscriptionId } = subscription;
      const command = { id: derivedId('erase', tenantId, subscriptionId), actor: { kind: 'service' as const, id: 'identity' } };
      await this.log.transact(
        eventSubscription,
        { tenant: logId, stream: streamOf(subscriptionId), command },
        revoke('tenant_erased', this.clock.now()),
      );
      await this.broker.provisioner.provision(logId, subscriptionId);
    }
    // By the log, as they are counted: the list of subscriptions goes with the rows.
    const own = await this.created(tenantId);
    if (own.length > 0)
      await Promise.all(
        tables.map((table) => this.database.pool.query(`DELETE FROM identity.${table} WHERE subscription_id = ANY ($1)`, [own])),
      );
  }

  override async count(tenantId: string): Promise<number> {
    let found = await this.rowsOf(await this.created(tenantId));
    for (const subscription of await this.of(tenantId)) found += await this.left(subscription);
    return found;
  }

  private async rowsOf(subscriptionIds: string[]): Promise<number> {
    if (subscriptionIds.length === 0) return 0;
    const counts = tables.map((table) => `(SELECT count(*) FROM identity.${table} WHERE subscription_id = ANY ($1))`);
    const { rows } = await this.database.pool.query<{ found: string }>(`SELECT ${counts.join(' + ')} AS found`, [subscriptionIds]);
    return Number(rows[0]?.found);
  }

  /** The subscription where its own log doesn't have it as revoked, and consumers that the broker has nevertheless. */
  private async left({ logId, subscriptionId }: { logId: string; subscriptionId: string }): Promise<number> {
    const { state } = await this.log.load(eventSubscription, { tenant: logId, stream: streamOf(subscriptionId) });
    const of = existing(state);
    const consumers = await Promise.all(consumersOf(subscriptionId, of).map(({ name }) => this.broker.consumers.find(name)));
    return (of.status === 'revoked' ? 0 : 1) + consumers.filter((consumer) => consumer !== null).length;
  }

  private async of(tenantId: string): Promise<{ logId: string; subscriptionId: string }[]> {
    const [own, platforms] = await Promise.all([this.created(tenantId), subscriptionsOf(this.database, PLATFORM_LOG)]);
    const alone = platforms.filter(({ tenants }) => tenants !== 'all' && tenants.every((id) => id === tenantId));
    return [
      ...own.map((subscriptionId) => ({ logId: tenantId, subscriptionId })),
      ...alone.map(({ subscriptionId }) => ({ logId: PLATFORM_LOG, subscriptionId })),
    ];
  }

  /** All that the tenant ever had, by its log: the list may be behind, and its rows go before the last look. */
  private async created(tenantId: string): Promise<string[]> {
    const ids: string[] = [];
    for (let from = 0; ; ) {
      const { events, scannedTo, head } = await this.log.readLog(tenantId, from, { types: ['EventSubscriptionCreated'] });
      ids.push(...events.map(({ data }) => (data as { subscriptionId: string }).subscriptionId));
      if (scannedTo >= head) return ids;
      from = scannedTo + 1;
    }
  }
}
