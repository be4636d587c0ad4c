import type { PlanSnapshot } from '@tenantry/contracts/plans';
import { effect, processManager } from '@tenantry/messaging/projection';

export interface FollowPlan {
  plan: PlanSnapshot;
  /** Of the `TenantPlanChanged`. */
  planPosition: number;
  correlationId?: string;
  traceparent?: string;
}

/** The limits of a tenant follow its plan; what is decided about them reaches the ledger, also where a process died in between. */
export const planChanges = processManager({
  name: 'plan-changes',
  on: {
    TenantPlanChanged: ({ position, data: { plan }, metadata: { correlationId, traceparent } }) =>
      effect('follow-plan', { plan, planPosition: position, correlationId, traceparent } satisfies FollowPlan),
    LimitsChanged: () => effect('relimit', {}),
  },
});
