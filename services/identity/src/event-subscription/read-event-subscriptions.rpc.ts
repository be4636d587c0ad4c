import { Controller } from '@nestjs/common';
import { DomainError } from '@tenantry/contracts/errors';
import { ofPlatform, ofTenant } from '@tenantry/contracts/identity/event-subscriptions';
import type { RouteAnswer } from '@tenantry/contracts/route';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { Handles } from '@tenantry/messaging/handles';
import type { Call } from '@tenantry/messaging/rpc';
import { Logger } from '@tenantry/observability/logger';
import { Database } from '@tenantry/service/database';
import { requireTenant } from '../require-tenant.js';
import { Broker } from './broker.js';
import { logOf } from './caller.js';
import { type Existing, eventSubscription, existing, streamOf } from './event-subscription.js';
import { subscriptionsOf } from './event-subscriptions.projection.js';
import { type Lag, lagOf } from './lag.js';
import { Shown } from './shown.js';
import { SubscriptionTable } from './subscription-table.js';

@Controller()
export class ReadEventSubscriptionsRpc {
  constructor(
    private readonly log: TenantLog,
    private readonly database: Database,
    private readonly table: SubscriptionTable,
    private readonly broker: Broker,
    private readonly shown: Shown,
    private readonly logger: Logger,
  ) {}

  @Handles(ofPlatform.list)
  listOfPlatform(_call: Call<typeof ofPlatform.list>): Promise<RouteAnswer<typeof ofPlatform.list>> {
    return this.list('');
  }
  @Handles(ofTenant.list)
  async listOfTenant({ tenantId }: Call<typeof ofTenant.list>): Promise<RouteAnswer<typeof ofTenant.list>> {
    await requireTenant(this.log, tenantId);
    return this.list(tenantId);
  }
  @Handles(ofPlatform.get)
  ofPlatform({ params }: Call<typeof ofPlatform.get>): Promise<RouteAnswer<typeof ofPlatform.get>> {
    return this.get('', params.subscriptionId);
  }
  @Handles(ofTenant.get)
  ofTenant({ tenantId, params }: Call<typeof ofTenant.get>): Promise<RouteAnswer<typeof ofTenant.get>> {
    return this.get(tenantId, params.subscriptionId);
  }

  private async list(tenantId: string): Promise<RouteAnswer<typeof ofPlatform.list>> {
    const found = await subscriptionsOf(this.database, logOf(tenantId));
    const issued = await this.table.newest(found.map(({ subscriptionId }) => subscriptionId));
    const logId = logOf(tenantId);
    return {
      status: 200,
      body: { items: await this.shown.all(logId, found, issued) },
    };
  }

  private async get(tenantId: string, subscriptionId: string): Promise<RouteAnswer<typeof ofPlatform.get>> {
    const { state, version } = await this.log.load(eventSubscription, { tenant: logOf(tenantId), stream: streamOf(subscriptionId) });
    const of = existing(state);
    const logId = logOf(tenantId);
    const [issued, lag] = await Promise.all([this.table.newest([subscriptionId]), this.lag(of)]);
    return { status: 200, body: { ...(await this.shown.of(logId, of, issued.get(subscriptionId))), lag }, version };
  }

  /** Null where the broker doesn't say: the rest is known all the same. */
  private async lag(of: Existing): Promise<Lag[] | null> {
    if (of.status === 'revoked') return [];
    try {
      return await lagOf(of, this.broker.consumers, this.table);
    } catch (error) {
      if (!(error instanceof DomainError)) throw error;
      this.logger.warn({ err: error, subscriptionId: of.subscriptionId }, 'The lag of an event subscription is not known');
      return null;
    }
  }
}
