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
    const { state, position } = await this.log.transact(
      quotas,
      { tenant: tenantId, command: { id: derivedId('quotas.follow-plan', id), actor, causationId, correlationId, traceparent } },
      followPlan(plan, planPosition, this.clock.now()),
    );
    if (state.status === 'assigned')
      await this.ledger.relimit({
        ...{ tenantId, position, retentionDays: state.retentionDays, quotas: state.quotas },
        pools: poolsLimits(plan),
      });
  }
}
