import { effect, processManager } from '@tenantry/messaging/projection';

export interface EndTrialEarly {
  activatedAt: string;
}

/** A tenant that somebody makes active pays from then on. */
export const earlyActivations = processManager({
  name: 'early-activations',
  on: {
    TenantActivated: ({ data: { status, cause, activatedAt } }) =>
      status === 'active' && cause === 'manual' ? effect('end-trial-early', { activatedAt } satisfies EndTrialEarly) : null,
  },
});
