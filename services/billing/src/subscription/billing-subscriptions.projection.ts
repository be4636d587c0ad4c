import { patch, projection, upsert } from '@tenantry/messaging/projection';
import { bigint, integer, pgTable, primaryKey, text, timestamp, uuid } from 'drizzle-orm/pg-core';

const instant = (name: string) => timestamp(name, { withTimezone: true, mode: 'string' });
export const billingSubscriptions = pgTable(
  'billing_subscriptions',
  {
    tenantId: uuid('tenant_id').notNull(),
    status: text('status', { enum: ['trialing', 'active', 'cancelled'] }).notNull(),
    planId: text('plan_id').notNull(),
    planVersion: integer('plan_version').notNull(),
    priceMinor: bigint('price_minor', { mode: 'number' }).notNull(),
    currency: text('currency').notNull(),
    timezone: text('timezone').notNull(),
    openedAt: instant('opened_at').notNull(),
    trialEndsAt: instant('trial_ends_at'),
    periodStart: instant('period_start').notNull(),
    periodEnd: instant('period_end').notNull(),
  },
  (table) => [primaryKey({ columns: [table.tenantId] })],
);

/** The subscription in the tenant's own schema, for SQL readers there. To rebuild, raise `version`. */
export const billingSubscriptionsProjection = projection({
  name: 'billing-subscriptions',
  version: 1,
  placement: 'tenant',
  tables: [billingSubscriptions],
  on: {
    SubscriptionOpened: ({ tenantId, data }) =>
      upsert(billingSubscriptions, {
        tenantId,
        status: data.trialEndsAt === null ? 'active' : 'trialing',
        planId: data.plan.id,
        planVersion: data.plan.version,
        priceMinor: data.priceMinor,
        currency: data.currency,
        timezone: data.timezone,
        openedAt: data.openedAt,
        trialEndsAt: data.trialEndsAt,
        periodStart: data.periodStart,
        periodEnd: data.periodEnd,
      }),
    SubscriptionPlanChanged: ({ tenantId, data }) =>
      patch(
        billingSubscriptions,
        { tenantId },
        { planId: data.plan.id, planVersion: data.plan.version, priceMinor: data.priceMinor, currency: data.currency },
      ),
    TrialEnded: ({ tenantId, data }) =>
      patch(
        billingSubscriptions,
        { tenantId },
        { status: 'active', trialEndsAt: data.endedAt, periodStart: data.periodStart, periodEnd: data.periodEnd },
      ),
    SubscriptionCancelled: ({ tenantId }) => patch(billingSubscriptions, { tenantId }, { status: 'cancelled' }),
  },
});
