import { Module } from '@nestjs/common';
import { provide } from '@tenantry/messaging/provide';
import { billingSubscriptionsProjection } from './billing-subscriptions.projection.js';
import { CancelSubscriptionRpc } from './cancel-subscription.rpc.js';
import { earlyActivations } from './early-activations.process.js';
import { EndTrialEarlyEffect } from './end-trial-early.effect.js';
import { FollowPlanEffect } from './follow-plan.effect.js';
import { GetSubscriptionRpc } from './get-subscription.rpc.js';
import { OpenSubscriptionRpc } from './open-subscription.rpc.js';
import { planChanges } from './plan-changes.process.js';
import { TrialEndTimer } from './trial-end.timer.js';

@Module({
  controllers: [OpenSubscriptionRpc, CancelSubscriptionRpc, GetSubscriptionRpc],
  providers: [
    provide(billingSubscriptionsProjection),
    provide(planChanges),
    provide(earlyActivations),
    FollowPlanEffect,
    EndTrialEarlyEffect,
    TrialEndTimer,
  ],
})
export class SubscriptionModule {}
