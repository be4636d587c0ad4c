import { at, type EventFixture, end } from './event-fixture.js';

const quotas = (limit: number | null) => [{ resource: 'users', kind: 'gauge', unit: 'count', limit, source: 'plan' }];

export const quotaFixtures: readonly EventFixture[] = [
  {
    type: 'QuotasAssigned',
    version: 1,
    data: {
      ...{ plan: { id: 'free', version: 1 }, retentionDays: 30, timezone: 'UTC', quotas: quotas(5) },
      ...{ periodStart: at, periodEnd: end },
    },
  },
  {
    type: 'QuotasChanged',
    version: 1,
    data: {
      ...{ plan: { id: 'business', version: 1 }, retentionDays: 365, quotas: quotas(500), planPosition: 20, changedAt: at },
      before: { plan: { id: 'free', version: 1 }, retentionDays: 30, quotas: quotas(5) },
    },
  },
  { type: 'LimitsChanged', version: 1, data: { quotas: quotas(7), before: { quotas: quotas(5) }, changedAt: at } },
  { type: 'QuotasWithdrawn', version: 1, data: { withdrawnAt: at } },
];
