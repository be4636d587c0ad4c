import { Module } from '@nestjs/common';
import { provide } from '@tenantry/messaging/provide';
import { billingSubscriptionsProjection } from './billing-subscriptions.projection.js';
import { CancelSubscriptionRpc } from './cancel-subscription.rpc.js';
import { GetSubscriptionRpc } from './get-subscription.rpc.js';
import { OpenSubscriptionRpc } from './open-subscription.rpc.js';
import { TrialEndTimer } from './trial-end.timer.js';

@Module({
  controllers: [OpenSubscriptionRpc, CancelSubscriptionRpc, GetSubscriptionRpc],
  providers: [provide(billingSubscriptionsProjection), TrialEndTimer],
})
export class SubscriptionModule {}
