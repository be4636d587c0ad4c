import { Injectable } from '@nestjs/common';
import { Clock } from '@tenantry/contracts/clock';
import { derivedId } from '@tenantry/contracts/ids';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { type Effect, EffectHandler } from '@tenantry/messaging/effects';
import { Ledger } from '../usage/ledger.js';
import type { FollowPlan } from './plan-changes.process.js';
import { followPlan, poolsLimits, quotas } from './quotas.js';

/** One append and one statement, as at the assignment: an effect that runs again gets the event of the first time and writes the rows. */
@Injectable()
export class FollowPlanEffect extends EffectHandler<FollowPlan> {
  override readonly effect = 'follow-plan';
  constructor(
    private readonly log: TenantLog,
    private readonly ledger: Ledger,
    private readonly clock: Clock,
  ) {
    super();
  }

  override async run({ id, tenantId, causationId, payload }: Effect<FollowPlan>): Promise<void> {
    const { plan, planPosition, correlationId, traceparent } = payload;
    const actor = { kind: 'service', id: 'quota-metering' } as const;
    await this.log.transact(
      quotas,
      { tenant: tenantId, command: { id: derivedId('quotas.follow-plan', id), actor, causationId, correlationId, traceparent } },
      followPlan(plan, planPosition, this.clock.now()),
    );
    // As they are by now: limits may have been set since, and the ledger takes the latest. What another change of plan brought is for its own effect.
    const { state, position } = await this.log.load(quotas, { tenant: tenantId });
    if (state.status === 'assigned' && state.planPosition === planPosition)
      await this.ledger.relimit({
        ...{ tenantId, position, retentionDays: state.retentionDays, quotas: state.quotas },
        pools: poolsLimits(plan),
      });
  }
}
