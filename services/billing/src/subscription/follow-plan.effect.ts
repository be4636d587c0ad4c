import { Injectable } from '@nestjs/common';
import { Clock } from '@tenantry/contracts/clock';
import { derivedId } from '@tenantry/contracts/ids';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { type Effect, EffectHandler } from '@tenantry/messaging/effects';
import type { FollowPlan } from './plan-changes.process.js';
import { followPlan, subscription } from './subscription.js';

@Injectable()
export class FollowPlanEffect extends EffectHandler<FollowPlan> {
  override readonly effect = 'follow-plan';
  constructor(
    private readonly log: TenantLog,
    private readonly clock: Clock,
  ) {
    super();
  }

  override async run({ id, tenantId, causationId, payload }: Effect<FollowPlan>): Promise<void> {
    const { plan, planPosition, correlationId, traceparent } = payload;
    const actor = { kind: 'service', id: 'billing' } as const;
    await this.log.transact(
      subscription,
      { tenant: tenantId, command: { id: derivedId('subscription.follow-plan', id), actor, causationId, correlationId, traceparent } },
      followPlan(plan, planPosition, this.clock.now()),
    );
  }
}
