import { z } from 'zod';
import { face, route } from '../route.js';
import { InstantText, OffsetQuery, PageQuery, page, Uuid } from '../values.js';
import { OperationView, operationStatuses } from './bodies.js';
import { orgTag } from './routes.js';

const common = { owner: 'provisioning', tag: 'Operations', scope: 'platform', method: 'GET' } as const;
const OperationListItem = OperationView.omit({ steps: true, compensation: true, counts: true });
const Status = z.enum(operationStatuses).optional();
const Type = z.string().min(1).max(63).optional();

export const listOperations = route({
  ...common,
  name: 'operations.list',
  summary: 'Long work of every type, newest first; one operation has its steps, or counts and items',
  permission: 'operation:read',
  path: '/api/v1/platform/operations',
  query: z.strictObject({
    ...PageQuery,
    tenantId: Uuid.optional().describe('Work on this tenant; work over many is not found by it'),
    type: Type.describe('Such as provisioning, move, deletion, rebuild, blueprint-campaign, bulk.suspend'),
    status: Status,
  }),
  answers: { 200: page(OperationListItem) },
});

const base = '/api/v1/platform/tenants/:tenantId/operations';
const ById = z.strictObject({ tenantId: Uuid });
const ByOperation = z.strictObject({ tenantId: Uuid, operationId: Uuid });
const ofTenant = { ...common, permission: 'tenant:read' } as const;
export const listTenantOperations = route({
  ...ofTenant,
  name: 'operations.of-tenant',
  summary: 'Long work on the tenant, newest first: its provisioning, moves and deletions, not what the platform does to many',
  path: base,
  params: ById,
  query: z.strictObject({ ...PageQuery, offset: OffsetQuery.offset, type: Type, status: Status }),
  answers: { 200: page(OperationListItem) },
});
export const getTenantOperation = route({
  ...ofTenant,
  name: 'operations.one-of-tenant',
  summary: 'Progress of long work on the tenant',
  path: `${base}/:operationId`,
  params: ByOperation,
  answers: { 200: OperationView },
});
export const operationRoutes = [listOperations, listTenantOperations, getTenantOperation];

/** Why a step failed is said by its code alone: the rest may name what is the platform's. */
const OperationRow = z.object({
  id: Uuid,
  type: z.string(),
  tenant_id: Uuid.nullable(),
  status: z.enum(operationStatuses),
  error_code: z.string().nullable(),
  created_at: InstantText,
  finished_at: InstantText.nullable(),
});
const Step = OperationView.shape.steps.element;
const StepRow = Step.pick({ name: true, status: true, attempt: true }).extend({
  started_at: InstantText.nullable(),
  duration_ms: z.number().nullable(),
  error_code: z.string().nullable(),
});
const operationRow = (operation: z.infer<typeof OperationListItem>) => ({
  ...{ id: operation.id, type: operation.type, tenant_id: operation.tenantId, status: operation.status },
  ...{ error_code: operation.error?.code ?? null, created_at: operation.createdAt, finished_at: operation.finishedAt },
});
const stepRow = ({ name, status, attempt, startedAt, durationMs, error }: z.infer<typeof Step>) => ({
  ...{ name, status, attempt, started_at: startedAt, duration_ms: durationMs, error_code: error?.code ?? null },
});
const surface = { tag: orgTag, scope: 'tenant', permission: 'tenant:read', method: 'GET' } as const;
const surfaceBase = '/api/tenants/:tenantId/operations';
export const operationFaces = [
  face({
    ...surface,
    of: listTenantOperations,
    summary: "Long work on the tenant, newest first; with a reseller's credentials also of a child",
    path: surfaceBase,
    params: ById,
    query: z.strictObject({ limit: PageQuery.limit, offset: OffsetQuery.offset, type: Type, status: Status }),
    answers: { 200: z.array(OperationRow) },
    request: ({ params, query }) => ({ params, query: { ...query, offset: query.offset ?? 0 } }),
    answer: (body) => body.items.map(operationRow),
  }),
  face({
    ...surface,
    of: getTenantOperation,
    summary: 'Progress of long work on the tenant',
    path: `${surfaceBase}/:operationId`,
    params: ByOperation,
    answers: { 200: OperationRow.extend({ steps: z.array(StepRow) }) },
    request: ({ params }) => ({ params }),
    answer: (operation) => ({ ...operationRow(operation), steps: operation.steps.map(stepRow) }),
  }),
];
