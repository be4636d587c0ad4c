import { z } from 'zod';
import { face, route } from '../route.js';
import { InstantText, text, Uuid } from '../values.js';
import { ApprovalPending } from './approval-routes.js';
import { Rollout, SettingKey } from './events.js';

const base = '/api/v1/platform/tenants/:tenantId/features';
const ById = z.strictObject({ tenantId: Uuid });
const ByFlag = z.strictObject({ tenantId: Uuid, flag: SettingKey });
const common = { owner: 'provisioning', tag: 'Feature flags', scope: 'platform', permission: 'feature:read', method: 'GET' } as const;

export const Feature = Rollout.extend({
  flag: z.string(),
  source: z.enum(['plan', 'override']),
  at: InstantText.nullable().describe('When the scheduled change comes'),
  scheduled: Rollout.nullable().describe('What it will be then'),
});
export type Feature = z.infer<typeof Feature>;
const Subject = text(200)
  .optional()
  .describe('Whoever the flag is evaluated for, such as the id of a user; the tenant itself unless given');

export const listFeatures = route({
  ...common,
  name: 'features.list',
  summary: 'The feature flags of the tenant: those of its plan, and those that were set',
  path: base,
  params: ById,
  answers: { 200: z.object({ items: z.array(Feature) }) },
});
export const evaluateFeature = route({
  ...common,
  name: 'features.evaluate',
  summary: 'Whether a flag is on for a subject: always the same answer for the same percentage, and still on with a higher one',
  path: `${base}/:flag/evaluate`,
  params: ByFlag,
  query: z.strictObject({ subject: Subject }),
  answers: { 200: z.object({ flag: z.string(), enabled: z.boolean() }) },
});
export const putFeature = route({
  ...common,
  name: 'features.put',
  summary: 'Set a flag for the tenant, now or at an instant, whatever its plan has; 202 where others have to approve it first',
  permission: 'feature:update',
  method: 'PUT',
  path: `${base}/:flag`,
  params: ByFlag,
  body: z.strictObject({
    enabled: z.boolean(),
    percentage: z.number().min(0).max(100).optional().describe('Of the subjects; 100 unless given'),
    at: InstantText.optional().describe('Not before then; until then it stays as it is'),
  }),
  answers: { 200: Feature, 202: ApprovalPending },
});
export const resetFeature = route({
  ...common,
  name: 'features.reset',
  summary: 'Let a flag be as the plan has it, and forget what is scheduled; 202 where others have to approve it first',
  permission: 'feature:update',
  method: 'DELETE',
  path: `${base}/:flag`,
  params: ByFlag,
  answers: { 200: Feature, 202: ApprovalPending },
});
export const featureRoutes = [listFeatures, evaluateFeature, putFeature, resetFeature];

const surface = { tag: 'Feature flags', scope: 'tenant', permission: 'feature:read', method: 'GET' } as const;
const surfaceBase = '/api/tenants/:tenantId/features';
/** To be read only: what a tenant has is a matter of its plan and its operator. */
export const featureFaces = [
  face({
    ...surface,
    of: listFeatures,
    summary: 'The feature flags of the tenant',
    path: surfaceBase,
    params: ById,
    answers: { 200: z.array(Feature) },
    request: ({ params }) => ({ params }),
    answer: (body) => body.items,
  }),
  face({
    ...surface,
    of: evaluateFeature,
    summary: 'Whether a flag is on for a subject',
    path: `${surfaceBase}/:flag/evaluate`,
    params: ByFlag,
    query: evaluateFeature.query,
    answers: evaluateFeature.answers,
    request: ({ params, query }) => ({ params, query }),
    answer: (body) => body,
  }),
];
