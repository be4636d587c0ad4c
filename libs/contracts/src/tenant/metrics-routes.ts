import { z } from 'zod';
import { tierName } from '../plans.js';
import { face, route } from '../route.js';
import { tenantStatuses } from './bodies.js';

const counts = z.record(z.string(), z.number().int());
const totals = z.object({
  used: z.number(),
  limit: z.number().nullable().describe('null where one of the tenants has no limit'),
  unit: z.string(),
});
const Health = z
  .object({ healthy: z.number().int(), warning: z.number().int(), critical: z.number().int() })
  .describe('Tenants by the limit that they have used most of: critical from 100 %, warning from 80 %');

const Departures = {
  total: z.number().int(),
  counts: counts.describe('By what they said why'),
  winBack: z.number().int().describe('Those that may be asked to come back'),
};

const TenantMetrics = z.object({
  totalTenants: z.number().int().describe('Without deleted ones'),
  byStatus: counts,
  byTier: counts,
  mrr: z.array(z.object({ currency: z.string(), amountMinor: z.number().int(), tenants: z.number().int() })),
  usage: z.record(z.string(), totals),
  health: Health,
  departures: z
    .object({ total: Departures.total, byCategory: Departures.counts, winBack: Departures.winBack })
    .describe('Of tenants that are being deleted, or were'),
});
export type TenantMetrics = z.infer<typeof TenantMetrics>;

export const getTenantMetrics = route({
  name: 'tenants.metrics',
  summary: 'Tenants in numbers: by status and plan, what they bring a month, what they use',
  owner: 'provisioning',
  tag: 'Tenants',
  scope: 'platform',
  permission: 'tenant:read',
  method: 'GET',
  path: '/api/v1/platform/tenants/metrics',
  answers: { 200: TenantMetrics },
});

export const metricsRoutes = [getTenantMetrics];
export const metricsFaces = [
  face({
    of: getTenantMetrics,
    summary: "Tenants in numbers; with a reseller's credentials its children",
    tag: 'Tenants (tenant surface)',
    scope: 'reseller',
    permission: 'tenant:read',
    method: 'GET',
    path: '/api/tenants/metrics',
    answers: {
      200: z.object({
        total_tenants: z.number().int(),
        by_status: counts,
        by_tier: counts,
        mrr: z.number().describe('A month, in whole units of `mrr_currency`: the currency that most tenants pay in'),
        mrr_currency: z.string(),
        mrr_by_currency: z.record(z.string(), z.number()),
        usage: z.record(z.string(), totals),
        health: Health,
        departures: z.object({ total: Departures.total, by_category: Departures.counts, win_back: Departures.winBack }),
      }),
    },
    request: () => ({}),
    answer: ({ totalTenants, byStatus, byTier, mrr, usage, health, departures }: TenantMetrics) => ({
      total_tenants: totalTenants,
      by_status: { ...Object.fromEntries(tenantStatuses.map((status) => [status, 0])), ...byStatus },
      by_tier: Object.fromEntries(Object.entries(byTier).map(([plan, count]) => [tierName(plan), count])),
      mrr: (mrr[0]?.amountMinor ?? 0) / 100,
      mrr_currency: mrr[0]?.currency ?? 'USD',
      mrr_by_currency: Object.fromEntries(mrr.map(({ currency, amountMinor }) => [currency, amountMinor / 100])),
      usage,
      health,
      departures: { total: departures.total, by_category: departures.byCategory, win_back: departures.winBack },
    }),
  }),
];
