import { z } from 'zod';
import { route } from '../route.js';
import { OperationRef } from '../tenant/bodies.js';
import { InstantText, page, Uuid } from '../values.js';

const base = '/api/v1/platform';
const common = { owner: 'provisioning', tag: 'Isolation', scope: 'platform' } as const;

/** Between one tenant and another: what is tried. */
const boundaries = ['database', 'schema', 'cache', 'api', 'tokens', 'bus', 'storage', 'keys', 'logs', 'search', 'edge', 'network'] as const;
export const Attempt = z.object({
  boundary: z.enum(boundaries),
  target: z.string().describe('What was to be reached: a table, a path of the API, a subject, a file'),
  attempt: z.string().describe('How it was tried'),
  outcome: z.enum(['held', 'breached', 'not_applicable']),
  detail: z.string().describe('What came of it; for `not_applicable`: why it could not be tried'),
});
export type Attempt = z.infer<typeof Attempt>;
export const verdicts = ['held', 'breached'] as const;

/** `keyId` and `signature`: of this report alone (without these two), made when it was. */
export const IsolationReport = z.object({
  checkId: Uuid,
  tenantId: Uuid,
  checkedAt: InstantText,
  verdict: z.enum(verdicts),
  attempts: z.array(Attempt),
  keyId: z.string(),
  signature: z.string(),
});
export type IsolationReport = z.infer<typeof IsolationReport>;

export const requestIsolationCheck = route({
  ...common,
  name: 'isolation-checks.request',
  summary: 'Try to cross every boundary around tenants: of some, or of all; the outcome is a signed report',
  permission: 'isolation:check',
  method: 'POST',
  path: `${base}/isolation-checks`,
  body: z.strictObject({ tenantIds: z.array(Uuid).min(1).max(10_000).optional().describe('All tenants that have a place, unless given') }),
  bodyOptional: true,
  answers: { 202: z.object({ id: Uuid, operation: OperationRef }) },
});
export const getIsolationCheck = route({
  ...common,
  name: 'isolation-checks.get',
  summary: 'The reports of an isolation check as far as it is; pages are cut by size',
  permission: 'isolation:read',
  method: 'GET',
  path: `${base}/isolation-checks/:checkId`,
  params: z.strictObject({ checkId: Uuid }),
  query: z.strictObject({ cursor: z.string().max(200).optional(), verdict: z.enum(verdicts).optional() }),
  answers: {
    200: z.object({
      id: Uuid,
      status: z.string().describe('Of the operation'),
      operation: OperationRef,
      tenants: z.array(IsolationReport),
      nextCursor: z.string().nullable(),
      keyId: z.string(),
      signature: z
        .string()
        .describe('A JWS with detached payload over the rest of this answer, as JSON by RFC 8785; see docs/operations/isolation.md'),
    }),
  },
});
export const listIsolationChecks = route({
  ...common,
  name: 'isolation-checks.list',
  summary: 'Isolation checks with reports, the newest first; scheduled ones too',
  permission: 'isolation:read',
  method: 'GET',
  path: `${base}/isolation-checks`,
  query: z.strictObject({ cursor: z.string().max(200).optional(), limit: z.coerce.number().int().min(1).max(200).optional() }),
  answers: {
    200: page(z.object({ id: Uuid, checkedAt: InstantText, held: z.number().int(), breached: z.number().int() })),
  },
});

export const Finding = z.object({
  check: z.string(),
  status: z.enum(['ok', 'warning', 'failed', 'not_applicable']),
  detail: z.string(),
  remedy: z.string().describe('The smallest thing to do about it; empty where nothing is to be done'),
});
export type Finding = z.infer<typeof Finding>;
export const diagnoseTenant = route({
  ...common,
  name: 'tenants.diagnose',
  summary: 'Go through everything that a tenant needs, and say what is wrong and how to mend it',
  permission: 'tenant:diagnose',
  method: 'POST',
  path: `${base}/tenants/:tenantId/diagnose`,
  params: z.strictObject({ tenantId: Uuid }),
  timeoutMs: 30_000,
  answers: { 200: z.object({ tenantId: Uuid, checkedAt: InstantText, findings: z.array(Finding) }) },
});

export const isolationRoutes = [requestIsolationCheck, getIsolationCheck, listIsolationChecks, diagnoseTenant];
