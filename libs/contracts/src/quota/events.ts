import { z } from 'zod';
import { type EventOf, event, events } from '../events.js';
import { ResourceKind } from '../plans.js';

export const QuotaLimit = z.object({
  resource: z.string(),
  kind: ResourceKind,
  unit: z.string(),
  /** In the unit; null is unlimited. */
  limit: z.number().int().min(0).nullable(),
  source: z.enum(['plan', 'override']),
});

const planned = z.object({
  plan: z.object({ id: z.string(), version: z.number().int() }),
  retentionDays: z.number().int(),
  quotas: z.array(QuotaLimit),
});

/** Stream `quotas`. Owner: quota-metering. */
export const quotaEvents = events('quota', {
  QuotasAssigned: event({
    version: 1,
    summary: 'The tenant got the quotas of its plan, with overrides',
    data: z.object({
      plan: z.object({ id: z.string(), version: z.number().int() }),
      retentionDays: z.number().int(),
      timezone: z.string(),
      quotas: z.array(QuotaLimit),
      periodStart: z.string(),
      periodEnd: z.string(),
      /** The reseller, in whose limits the use counts too. */
      parentId: z.string().optional(),
    }),
  }),
  QuotasChanged: event({
    version: 1,
    summary: "The tenant's limits and retention follow a change of its plan; overrides stay",
    data: planned.extend({
      before: planned,
      /** Of the `TenantPlanChanged` that they follow: an older one that comes late changes nothing. */
      planPosition: z.number().int().min(0),
      changedAt: z.string(),
    }),
  }),
  LimitsChanged: event({
    version: 1,
    summary: "Limits of the tenant were set in place of its plan's, or are its plan's again",
    data: z.object({ quotas: z.array(QuotaLimit), before: z.object({ quotas: z.array(QuotaLimit) }), changedAt: z.string() }),
  }),
  QuotasWithdrawn: event({
    version: 1,
    summary: 'The quotas of a tenant that could not be completed were withdrawn',
    data: z.object({ withdrawnAt: z.string() }),
  }),
});
export type QuotaEvent = EventOf<typeof quotaEvents>;
