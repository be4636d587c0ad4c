import { Module } from '@nestjs/common';
import { provide } from '@tenantry/messaging/provide';
import { UsageModule } from '../usage/usage.module.js';
import { AssignQuotasRpc } from './assign-quotas.rpc.js';
import { CheckQuotaRpc } from './check-quota.rpc.js';
import { FollowPlanEffect } from './follow-plan.effect.js';
import { LimitsRpc } from './limits.rpc.js';
import { ListQuotasRpc } from './list-quotas.rpc.js';
import { planChanges } from './plan-changes.process.js';
import { quotaQuotasProjection } from './quota-quotas.projection.js';
import { RelimitEffect } from './relimit.effect.js';
import { WithdrawQuotasRpc } from './withdraw-quotas.rpc.js';

@Module({
  imports: [UsageModule],
  controllers: [AssignQuotasRpc, WithdrawQuotasRpc, ListQuotasRpc, CheckQuotaRpc, LimitsRpc],
  providers: [provide(quotaQuotasProjection), provide(planChanges), FollowPlanEffect, RelimitEffect],
})
export class QuotaModule {}
