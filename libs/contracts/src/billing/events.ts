import { z } from 'zod';
import { type EventOf, event, events, personal } from '../events.js';

const priced = z.object({
  plan: z.object({ id: z.string(), version: z.number().int() }),
  priceMinor: z.number().int(),
  currency: z.string(),
});

/** Stream `subscription`. Owner: billing. */
export const billingEvents = events('billing', {
  SubscriptionOpened: event({
    version: 1,
    summary: 'The tenant subscribed to a plan',
    subject: () => 'contacts',
    data: z.object({
      plan: z.object({ id: z.string(), version: z.number().int() }),
      priceMinor: z.number().int(),
      currency: z.string(),
      timezone: z.string(),
      billingEmail: personal(z.string()).optional(),
      trialEndsAt: z.string().nullable(),
      periodStart: z.string(),
      periodEnd: z.string(),
      openedAt: z.string(),
    }),
  }),
  SubscriptionPlanChanged: event({
    version: 1,
    summary: "The subscription follows a change of the tenant's plan; the running period is not prorated",
    data: priced.extend({
      before: priced,
      /** Of the `TenantPlanChanged` that it follows: an older one that comes late changes nothing. */
      planPosition: z.number().int().min(0),
      changedAt: z.string(),
    }),
  }),
  TrialEnded: event({
    version: 1,
    summary: 'The trial is over; the first paid period begins',
    data: z.object({ endedAt: z.string(), periodStart: z.string(), periodEnd: z.string() }),
  }),
  SubscriptionCancelled: event({
    version: 1,
    summary: 'The subscription ended',
    data: z.object({ reason: z.string(), cancelledAt: z.string() }),
  }),
});
export type BillingEvent = EventOf<typeof billingEvents>;
