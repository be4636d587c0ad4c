import { Module } from '@nestjs/common';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { provide } from '@tenantry/messaging/provide';
import { Logger } from '@tenantry/observability/logger';
import { Bus } from '@tenantry/service/bus';
import { Database } from '@tenantry/service/database';
import { Environment } from '@tenantry/service/environment';
import { ApiKeyModule } from '../api-key/api-key.module.js';
import { KeysModule } from '../keys/keys.module.js';
import { ApplyEventSubscriptionEffect } from './apply-event-subscription.effect.js';
import { Broker } from './broker.js';
import { ChangeEventSubscriptionRpc } from './change-event-subscription.rpc.js';
import { CheckJob } from './check.job.js';
import { CreateEventSubscriptionRpc } from './create-event-subscription.rpc.js';
import { EventStreamStore } from './event-stream.store.js';
import { eventSubscriptionChanges, tenantAccess } from './event-subscriptions.process.js';
import { eventSubscriptions } from './event-subscriptions.projection.js';

import { FollowTenantEffect } from './follow-tenant.effect.js';

import { ProbeEventSubscriptionsRpc } from './probe-event-subscriptions.rpc.js';

import { ReadEventSubscriptionsRpc } from './read-event-subscriptions.rpc.js';
import { Shown } from './shown.js';
import { SubscriptionTable } from './subscription-table.js';
import { SubscriptionsStore } from './subscriptions.store.js';

@Module({
  imports: [KeysModule, ApiKeyModule],
  controllers: [CreateEventSubscriptionRpc, ReadEventSubscriptionsRpc, ChangeEventSubscriptionRpc, ProbeEventSubscriptionsRpc],
  providers: [
    { provide: SubscriptionTable, inject: [Database], useFactory: ({ pool }: Database) => new SubscriptionTable(pool) },
    {
      provide: Broker,
      inject: [Environment, Bus, TenantLog, SubscriptionTable, Logger],
      useFactory: (environment: Environment, { connection: nats }: Bus, log: TenantLog, table: SubscriptionTable, logger: Logger) =>
        Broker.open({ environment, nats, log, table, logger }),
    },
    Shown,
    SubscriptionsStore,
    EventStreamStore,
    ApplyEventSubscriptionEffect,
    FollowTenantEffect,
    CheckJob,
    provide(eventSubscriptionChanges),
    provide(tenantAccess),
    provide(eventSubscriptions),
  ],
})
export class EventSubscriptionModule {}
