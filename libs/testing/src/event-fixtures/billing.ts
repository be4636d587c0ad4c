import { at, type EventFixture, end, sealed } from './event-fixture.js';

const priced = { plan: { id: 'free', version: 1 }, priceMinor: 0, currency: 'USD' };

export const billingFixtures: readonly EventFixture[] = [
  {
    type: 'SubscriptionOpened',
    version: 1,
    data: { ...priced, timezone: 'UTC', billingEmail: sealed, trialEndsAt: end, periodStart: at, periodEnd: end, openedAt: at },
  },
  {
    type: 'SubscriptionPlanChanged',
    version: 1,
    data: { ...priced, priceMinor: 79_900, before: priced, planPosition: 20, changedAt: at },
  },
  { type: 'TrialEnded', version: 1, data: { endedAt: end, periodStart: end, periodEnd: '2026-03-01T00:00:00.000Z' } },
  { type: 'SubscriptionCancelled', version: 1, data: { reason: 'The tenant could not be completed', cancelledAt: at } },
];
