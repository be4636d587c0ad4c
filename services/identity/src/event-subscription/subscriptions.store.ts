import { Injectable } from '@nestjs/common';
import { Clock } from '@tenantry/contracts/clock';
import { derivedId, PLATFORM_LOG } from '@tenantry/contracts/ids';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { Database } from '@tenantry/service/database';
import { TenantStore } from '@tenantry/service/tenant-store';
import { Broker } from './broker.js';
import { eventSubscription, revoke, streamOf } from './event-subscription.js';
import { subscriptionsOf } from './event-subscriptions.projection.js';

/** Event subscriptions of an erased tenant, and the platform's that are for that tenant alone, with their accounts and consumers on the broker. */
@Injectable()
export class SubscriptionsStore extends TenantStore {
  readonly store = 'broker: consumers and accounts';
  constructor(
    private readonly log: TenantLog,
    private readonly database: Database,
    private readonly broker: Broker,
    private readonly clock: Clock,
  ) {
    super();
  }

  override async erase(tenantId: string): Promise<void> {
    const found = await this.of(tenantId);
    await Promise.all(
      found.map(async ({ logId, subscriptionId }) => {
        const command = { id: derivedId('erase', tenantId, subscriptionId), actor: { kind: 'service' as const, id: 'identity' } };
        await this.log.transact(
          eventSubscription,
          { tenant: logId, stream: streamOf(subscriptionId), command },
          revoke('tenant_erased', this.clock.now()),
        );
        await this.broker.provisioner.provision(logId, subscriptionId);
      }),
    );
  }

  /** Those that are not revoked by their own log: the list may be behind. */
  override async count(tenantId: string): Promise<number> {
    const states = await Promise.all(
      (await this.of(tenantId)).map(({ logId, subscriptionId }) =>
        this.log.load(eventSubscription, { tenant: logId, stream: streamOf(subscriptionId) }),
      ),
    );
    return states.filter(({ state }) => state.status !== 'revoked').length;
  }

  private async of(tenantId: string): Promise<{ logId: string; subscriptionId: string }[]> {
    const [own, platforms] = await Promise.all([subscriptionsOf(this.database, tenantId), subscriptionsOf(this.database, PLATFORM_LOG)]);
    const alone = platforms.filter(({ tenants }) => tenants !== 'all' && tenants.every((id) => id === tenantId));
    return [
      ...own.map(({ subscriptionId }) => ({ logId: tenantId, subscriptionId })),
      ...alone.map(({ subscriptionId }) => ({ logId: PLATFORM_LOG, subscriptionId })),
    ];
  }
}
