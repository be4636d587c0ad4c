import { DomainError } from '@tenantry/contracts/errors';
import type { PlanTerms } from '@tenantry/contracts/plans';
import { type PlatformEvent, platformEvents } from '@tenantry/contracts/platform/events';
import { aggregate } from '@tenantry/event-store/aggregate';

export type Plan = { status: 'none' } | { status: 'published'; version: number };

/** Name of a plan's stream on the platform's log. */
export const planStream = (planId: string): string => `plan-${planId}`;

/** One plan of the catalogue. Versions are never changed: tenants stay on theirs until they are moved. */
export const plan = aggregate<Plan, typeof platformEvents>({
  stream: 'plan',
  events: platformEvents,
  initial: { status: 'none' },
  evolve: (state, event): Plan => {
    switch (event.type) {
      case 'PlanPublished':
        return { status: 'published', version: event.data.planVersion };
      default:
        // The platform's other facts are on other streams.
        return state;
    }
  },
});

/** @throws DomainError `log.conflict` where versions would be left out */
export const publish =
  (planId: string, version: number, terms: PlanTerms) =>
  (state: Plan): PlatformEvent[] => {
    const current = state.status === 'none' ? 0 : state.version;
    if (version <= current) return [];
    if (version > current + 1) throw new DomainError('log.conflict', { detail: `Version ${current + 1} of plan ${planId} comes first.` });
    return [{ type: 'PlanPublished', data: { ...terms, planId, planVersion: version } }];
  };
