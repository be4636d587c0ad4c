import { z } from 'zod';
import { PlanSnapshot, PlanTerms } from '../plans.js';
import { face, operation, route } from '../route.js';
import { Uuid } from '../values.js';

const ById = z.strictObject({ tenantId: Uuid });
export const PlanView = PlanTerms.extend({ id: z.string(), version: z.number().int() });
const common = { owner: 'billing', tag: 'Billing', scope: 'platform', permission: 'billing:read', method: 'GET' } as const;

export const listPlans = route({
  ...common,
  name: 'plans.list',
  summary: 'The plan catalogue, current versions',
  path: '/api/v1/platform/plans',
  answers: { 200: z.object({ items: z.array(PlanView) }) },
});
export const getPlan = route({
  ...common,
  name: 'plans.get',
  summary: 'One plan, by id or alias, in its current or a named version',
  path: '/api/v1/platform/plans/:planId',
  params: z.strictObject({ planId: z.string().min(1).max(63) }),
  query: z.strictObject({ version: z.coerce.number().int().min(1).optional() }),
  answers: { 200: PlanView },
});
export const SubscriptionView = z.object({
  tenantId: Uuid,
  status: z.enum(['trialing', 'active', 'cancelled']),
  plan: z.object({ id: z.string(), version: z.number().int() }),
  priceMinor: z.number().int(),
  currency: z.string(),
  trialEndsAt: z.string().nullable(),
  periodStart: z.string(),
  periodEnd: z.string(),
  timezone: z.string(),
  openedAt: z.string(),
});
export type SubscriptionView = z.infer<typeof SubscriptionView>;
export const getSubscription = route({
  ...common,
  name: 'subscription.get',
  summary: "The tenant's subscription",
  path: '/api/v1/platform/tenants/:tenantId/subscription',
  params: ById,
  answers: { 200: SubscriptionView },
});

/** Part of the `configure` step of provisioning. Idempotent. */
export const openSubscription = operation({
  name: 'subscription.open',
  owner: 'billing',
  callers: ['provisioning'],
  input: z.object({
    tenantId: Uuid,
    operationId: Uuid,
    plan: PlanSnapshot,
    timezone: z.string(),
    startsAt: z.string(),
    billingEmail: z.union([z.string(), z.object({ enc: z.string() })]).optional(),
  }),
  output: z.object({ trialEndsAt: z.string().nullable(), periodEnd: z.string() }),
});
/** Undoes `subscription.open`. Idempotent. */
export const cancelSubscription = operation({
  name: 'subscription.cancel',
  owner: 'billing',
  callers: ['provisioning'],
  input: z.object({ tenantId: Uuid, operationId: Uuid, reason: z.string() }),
  output: z.object({}),
});

const SubscriptionRow = z.object({
  status: z.string(),
  plan: z.string(),
  plan_version: z.number(),
  price_minor: z.number(),
  currency: z.string(),
  trial_ends_at: z.string().nullable(),
  period_start: z.string(),
  period_end: z.string(),
});
export const billingRoutes = [listPlans, getPlan, getSubscription];
export const billingFaces = [
  face({
    of: getSubscription,
    summary: "The tenant's subscription",
    tag: 'Billing',
    scope: 'tenant',
    permission: 'billing:read',
    method: 'GET',
    path: '/api/tenants/:tenantId/subscription',
    params: ById,
    answers: { 200: SubscriptionRow },
    request: ({ params }) => ({ params }),
    answer: (body: SubscriptionView) => ({
      status: body.status,
      plan: body.plan.id,
      plan_version: body.plan.version,
      price_minor: body.priceMinor,
      currency: body.currency,
      trial_ends_at: body.trialEndsAt,
      period_start: body.periodStart,
      period_end: body.periodEnd,
    }),
  }),
];
