import { effect, processManager } from '@tenantry/messaging/projection';

export interface FollowPlanSettings {
  correlationId?: string;
  traceparent?: string;
}

/** Settings that follow from the plan follow a change of it. */
export const planSettingsProcess = processManager({
  name: 'plan-settings',
  on: {
    TenantPlanChanged: ({ metadata: { correlationId, traceparent } }) =>
      effect('follow-plan-settings', { correlationId, traceparent } satisfies FollowPlanSettings),
  },
});
