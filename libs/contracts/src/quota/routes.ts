import { z } from 'zod';
import { PlanSnapshot, ResourceKind } from '../plans.js';
import { face, operation, route } from '../route.js';
import { longText, OffsetQuery, Uuid } from '../values.js';

const ById = z.strictObject({ tenantId: Uuid });
const base = '/api/v1/platform/tenants/:tenantId';
const common = { owner: 'quota-metering', tag: 'Quotas and usage', scope: 'platform' } as const;
const ResourceName = z.string().regex(/^[a-z][a-z0-9_]{0,62}$/, 'must be the name of a resource such as api_calls');
const Amount = z.number().int().min(1).max(Number.MAX_SAFE_INTEGER).optional().describe('In the unit of the resource; 1 unless given');

export const Quota = z.object({
  resource: z.string(),
  kind: ResourceKind,
  unit: z.string(),
  limit: z.number().int().nullable().describe('null is unlimited'),
  used: z.number().int(),
  periodEnd: z.string().nullable().describe('null for gauges'),
});
export type Quota = z.infer<typeof Quota>;

export const listQuotas = route({
  ...common,
  name: 'quotas.list',
  summary: "The tenant's quotas and what is used of them",
  permission: 'quota:read',
  method: 'GET',
  path: `${base}/quotas`,
  params: ById,
  answers: { 200: z.object({ items: z.array(Quota) }) },
});
export const getUsage = route({
  ...common,
  name: 'usage.get',
  summary: 'Use of each resource in per cent of its limit',
  permission: 'quota:read',
  method: 'GET',
  path: `${base}/usage`,
  params: ById,
  answers: {
    200: z.object({
      items: z.array(
        z.object({
          resource: z.string(),
          used: z.number(),
          limit: z.number().nullable(),
          percent: z.number().nullable(),
          unit: z.string(),
          periodEnd: z.string().nullable(),
        }),
      ),
    }),
  },
});
export const checkQuota = route({
  ...common,
  name: 'quotas.check',
  summary: 'Would this amount be allowed? Nothing is consumed',
  permission: 'quota:read',
  method: 'POST',
  path: `${base}/quotas/check`,
  params: ById,
  body: z.strictObject({ resource: ResourceName, amount: Amount }),
  answers: { 200: z.object({ allowed: z.boolean(), remaining: z.number().nullable(), limit: z.number().nullable(), used: z.number() }) },
});
const Consumed = z.object({ allowed: z.literal(true), remaining: z.number().nullable(), used: z.number() });
const UsageBody = z.strictObject({ resource: ResourceName, amount: Amount, description: longText(1000).optional() });
export const incrementUsage = route({
  ...common,
  name: 'usage.increment',
  summary: 'Consume an amount, all of it or nothing; never over a hard limit',
  permission: 'usage:write',
  method: 'POST',
  path: `${base}/usage/increment`,
  params: ById,
  body: UsageBody,
  answers: { 200: Consumed },
});
export const releaseUsage = route({
  ...common,
  name: 'usage.release',
  summary: 'Give back an amount of a gauge',
  permission: 'usage:write',
  method: 'POST',
  path: `${base}/usage/release`,
  params: ById,
  body: UsageBody,
  answers: { 200: Consumed },
});
export const listUsageLogs = route({
  ...common,
  name: 'usage.logs',
  summary: 'What was consumed, newest first',
  permission: 'quota:read',
  method: 'GET',
  path: `${base}/usage-logs`,
  params: ById,
  query: z.strictObject({ ...OffsetQuery, resource: ResourceName.optional() }),
  answers: {
    200: z.object({
      items: z.array(
        z.object({
          id: z.string(),
          resource: z.string(),
          amount: z.number(),
          usageDate: z.string(),
          description: z.string().nullable(),
          createdAt: z.string(),
        }),
      ),
    }),
  },
});

/** The `configure` step of provisioning. Idempotent. */
export const assignQuotas = operation({
  name: 'quotas.assign',
  owner: 'quota-metering',
  callers: ['provisioning'],
  input: z.object({
    tenantId: Uuid,
    operationId: Uuid,
    plan: PlanSnapshot,
    overrides: z.record(z.string(), z.number().int().min(0).nullable()),
    timezone: z.string(),
    startsAt: z.string(),
    parentId: Uuid.optional().describe('The reseller that the tenant is a child of: what the tenant uses counts for it too'),
  }),
  output: z.object({ quotas: z.number().int() }),
});
/** What all tenants use together, or a reseller's children; and how many of them are near their limits. */
export const totalUsage = operation({
  name: 'usage.totals',
  owner: 'quota-metering',
  callers: ['provisioning'],
  input: z.object({ parentId: Uuid.optional() }),
  output: z.object({
    resources: z.array(z.object({ resource: z.string(), unit: z.string(), used: z.number(), limit: z.number().nullable() })),
    health: z.object({ healthy: z.number().int(), warning: z.number().int(), critical: z.number().int() }),
  }),
});
/** Of each tenant, in the order of their ids: the share of the limit that it has used most of, and when it last used anything. */
export const usageShares = operation({
  name: 'usage.shares',
  owner: 'quota-metering',
  callers: ['provisioning'],
  input: z.object({ after: Uuid.nullable(), limit: z.number().int().min(1).max(2_000) }),
  output: z.object({
    items: z.array(
      z.object({ tenantId: Uuid, percent: z.number().nullable().describe('null without a limit'), usedAt: z.string().nullable() }),
    ),
  }),
});
/** Consumes an amount for what the platform itself keeps for the tenant, or gives back a negative one. Idempotent by `commandId`. @throws `quota.exceeded` */
export const holdUsage = operation({
  name: 'usage.hold',
  owner: 'quota-metering',
  callers: ['provisioning'],
  input: z.object({ tenantId: Uuid, commandId: z.string().min(1).max(200), resource: z.string(), amount: z.number().int() }),
  output: z.object({}),
});
/** Undoes `quotas.assign`. Idempotent. */
export const withdrawQuotas = operation({
  name: 'quotas.withdraw',
  owner: 'quota-metering',
  callers: ['provisioning'],
  input: z.object({ tenantId: Uuid, operationId: Uuid }),
  output: z.object({}),
});

/** What is used, for those who look ahead. @throws `tenant.not_ready` */
export const readStandings = operation({
  name: 'quotas.standings',
  owner: 'quota-metering',
  callers: ['provisioning'],
  input: z.object({ tenantId: Uuid }),
  output: z.object({ items: z.array(Quota) }),
});

const surface = { tag: 'Quotas and usage', scope: 'tenant' } as const;
const UsageRowBody = z.strictObject({ resource_type: ResourceName, amount: Amount, description: longText(1000).optional() });
const toBody = ({ params, body }: { params: unknown; body: z.infer<typeof UsageRowBody> }) => ({
  params,
  body: { resource: body.resource_type, amount: body.amount, description: body.description },
});
const ConsumedRow = z.object({ allowed: z.literal(true), remaining: z.number().nullable(), current_usage: z.number() });
const consumedRow = (body: z.infer<typeof Consumed>) => ({ allowed: body.allowed, remaining: body.remaining, current_usage: body.used });

export const quotaRoutes = [listQuotas, getUsage, checkQuota, incrementUsage, releaseUsage, listUsageLogs];
export const quotaFaces = [
  face({
    ...surface,
    of: listQuotas,
    summary: "The tenant's quotas",
    permission: 'quota:read',
    method: 'GET',
    path: '/api/tenants/:tenantId/quotas',
    params: ById,
    answers: {
      200: z.array(
        z.object({
          resource_type: z.string(),
          quota_limit: z.number().nullable(),
          current_usage: z.number(),
          reset_date: z.string().nullable(),
          unit: z.string(),
          kind: z.string(),
        }),
      ),
    },
    request: ({ params }) => ({ params }),
    answer: (body) =>
      body.items.map((quota: Quota) => ({
        resource_type: quota.resource,
        quota_limit: quota.limit,
        current_usage: quota.used,
        reset_date: quota.periodEnd,
        unit: quota.unit,
        kind: quota.kind,
      })),
  }),
  face({
    ...surface,
    of: checkQuota,
    summary: 'Would this amount be allowed?',
    permission: 'quota:read',
    method: 'POST',
    path: '/api/tenants/:tenantId/quotas/check',
    params: ById,
    body: UsageRowBody.omit({ description: true }),
    answers: {
      200: z.object({
        allowed: z.boolean(),
        remaining: z.number().nullable(),
        quota_limit: z.number().nullable(),
        current_usage: z.number(),
      }),
    },
    request: ({ params, body }) => ({ params, body: { resource: body.resource_type, amount: body.amount } }),
    answer: (body) => ({ allowed: body.allowed, remaining: body.remaining, quota_limit: body.limit, current_usage: body.used }),
  }),
  face({
    ...surface,
    of: incrementUsage,
    summary: 'Consume an amount',
    permission: 'usage:write',
    method: 'POST',
    path: '/api/tenants/:tenantId/usage/increment',
    params: ById,
    body: UsageRowBody,
    answers: { 200: ConsumedRow },
    request: toBody,
    answer: consumedRow,
  }),
  face({
    ...surface,
    of: releaseUsage,
    summary: 'Give back an amount of a gauge',
    permission: 'usage:write',
    method: 'POST',
    path: '/api/tenants/:tenantId/usage/release',
    params: ById,
    body: UsageRowBody,
    answers: { 200: ConsumedRow },
    request: toBody,
    answer: consumedRow,
  }),
  face({
    ...surface,
    of: listUsageLogs,
    summary: 'What was consumed',
    permission: 'quota:read',
    method: 'GET',
    path: '/api/tenants/:tenantId/usage-logs',
    params: ById,
    query: z.strictObject(OffsetQuery),
    answers: {
      200: z.array(
        z.object({
          id: z.string(),
          resource_type: z.string(),
          usage_amount: z.number(),
          usage_date: z.string(),
          description: z.string().nullable(),
          created_at: z.string(),
        }),
      ),
    },
    request: ({ params, query }) => ({ params, query: { limit: query.limit ?? 50, offset: query.offset ?? 0 } }),
    answer: (body) =>
      body.items.map(
        (log: { id: string; resource: string; amount: number; usageDate: string; description: string | null; createdAt: string }) => ({
          id: log.id,
          resource_type: log.resource,
          usage_amount: log.amount,
          usage_date: log.usageDate,
          description: log.description,
          created_at: log.createdAt,
        }),
      ),
  }),
];
