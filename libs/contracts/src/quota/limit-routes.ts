import { z } from 'zod';
import { ApprovalPending } from '../config/approval-routes.js';
import { Actor } from '../events.js';
import { ResourceKind } from '../plans.js';
import { operation, type Route, route } from '../route.js';
import { Preview } from '../tenant/config-routes.js';
import { Uuid } from '../values.js';
import { Limits, LimitsInput } from './limits.js';

const base = '/api/v1/platform/tenants/:tenantId/limits';
const common = {
  owner: 'quota-metering',
  tag: 'Quotas and usage',
  scope: 'platform',
  params: z.strictObject({ tenantId: Uuid }),
} as const;
export const LimitsBody = z.strictObject({ limits: LimitsInput });

const Limit = z.object({
  resource: z.string(),
  kind: ResourceKind,
  unit: z.string(),
  limit: z.number().int().nullable().describe('null is unlimited'),
  source: z.enum(['plan', 'override']),
});
export const getLimits = route({
  ...common,
  name: 'limits.get',
  summary: "The tenant's limits, and which of them are its plan's",
  permission: 'quota:read',
  method: 'GET',
  path: base,
  answers: { 200: z.object({ items: z.array(Limit) }) },
});
export const putLimits = route({
  ...common,
  name: 'limits.put',
  summary: "Set limits of a tenant in place of its plan's; also below what is used already, and then nothing more can be added",
  permission: 'quota:update',
  method: 'PUT',
  path: base,
  body: LimitsBody,
  answers: { 200: z.object({ items: z.array(Limit), impacts: Preview.shape.impacts }), 202: ApprovalPending },
});
export const previewLimits = route({
  ...common,
  name: 'limits.preview',
  summary: 'What such a PUT of the limits would change, and what is over the new ones; nothing is saved',
  permission: 'quota:read',
  method: 'POST',
  path: `${base}/preview`,
  body: LimitsBody,
  answers: { 200: Preview },
});
export const limitRoutes: Route[] = [getLimits, putLimits, previewLimits] as Route[];

/**
 * The same as `limits.put`, as a part of work over many tenants, and once others have approved it. Idempotent by the command's id.
 * `unapproved`: others have to approve such a change, and haven't. It is refused then, unless it changes nothing, or was made already.
 */
export const overrideLimits = operation({
  name: 'limits.override',
  owner: 'quota-metering',
  callers: ['provisioning'],
  input: z.object({
    tenantId: Uuid,
    limits: Limits,
    unapproved: z.boolean().optional(),
    command: z.object({
      id: z.string(),
      /** The version of the limits that whoever asked for it expected. */
      ifMatch: z.number().int().optional(),
      actor: Actor,
      correlationId: z.string().optional(),
      causationId: z.string().optional(),
      traceparent: z.string().optional(),
    }),
  }),
  output: z.object({}),
});
/** Which of the tenants use more than such limits would let them. Limits of plans are not compared. */
export const overLimits = operation({
  name: 'limits.over',
  owner: 'quota-metering',
  callers: ['provisioning'],
  input: z.object({ tenantIds: z.array(Uuid).max(10_000), limits: Limits }),
  output: z.object({
    tenants: z.number().int(),
    sample: z.array(z.object({ tenantId: Uuid, resource: z.string(), used: z.number(), limit: z.number() })).max(10),
  }),
});
