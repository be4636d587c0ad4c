import { effect, processManager } from '@tenantry/messaging/projection';

export interface ScheduledTransitionPayload {
  transitionId: string;
  at: string;
}
export interface EndTrialPayload {
  endedAt: string;
}

/** What follows from a tenant's own history by itself, when its time comes. */
export const lifecycle = processManager({
  name: 'lifecycle',
  on: {
    TransitionScheduled: ({ data: { transitionId, at } }) =>
      effect('scheduled-transition', { transitionId, at } satisfies ScheduledTransitionPayload),
    TenantDeletionScheduled: () => effect('deletion-grace', {}),
    // It may have kept a tenant whose grace was over.
    LegalHoldReleased: () => effect('deletion-grace', {}),
    TrialEnded: ({ data: { endedAt } }) => effect('end-trial', { endedAt } satisfies EndTrialPayload),
  },
});
