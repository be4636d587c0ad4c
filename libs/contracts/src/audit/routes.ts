import { z } from 'zod';
import { face, route } from '../route.js';
import { InstantText, OffsetQuery, PageQuery, Uuid } from '../values.js';

const ById = z.strictObject({ tenantId: Uuid });
export const AuditEntry = z.object({
  id: Uuid.describe("The event's id"),
  position: z.number().int(),
  action: z.string().describe('`<context>.<EventType>`'),
  resourceType: z.string(),
  resourceId: z.string(),
  actor: z.object({ kind: z.string(), id: z.string() }),
  oldValues: z.json(),
  newValues: z.json(),
  ip: z.string().nullable(),
  userAgent: z.string().nullable(),
  traceId: z.string().nullable(),
  createdAt: z.string(),
});
export type AuditEntry = z.infer<typeof AuditEntry>;
const filters = {
  action: z.string().max(100).optional(),
  resourceType: z.string().max(50).optional(),
  actor: z.string().max(200).optional(),
  from: InstantText.optional(),
  to: InstantText.optional(),
};

export const listAudit = route({
  name: 'audit.list',
  summary: 'What was done to the tenant and by whom, newest first',
  owner: 'audit',
  tag: 'Audit',
  scope: 'platform',
  permission: 'audit:read',
  method: 'GET',
  path: '/api/v1/platform/tenants/:tenantId/audit-logs',
  params: ById,
  query: z.strictObject({ ...PageQuery, offset: OffsetQuery.offset, ...filters }),
  answers: { 200: z.object({ items: z.array(AuditEntry), nextCursor: z.string().nullable() }) },
});

const AuditRow = z.object({
  id: Uuid,
  position: z.number().int(),
  action: z.string(),
  resource_type: z.string(),
  resource_id: z.string(),
  user_id: z.string().nullable(),
  old_values: z.json(),
  new_values: z.json(),
  ip_address: z.string().nullable(),
  user_agent: z.string().nullable(),
  created_at: z.string(),
});
export const auditRoutes = [listAudit];
export const auditFaces = [
  face({
    of: listAudit,
    summary: 'What was done and by whom',
    tag: 'Audit',
    scope: 'tenant',
    permission: 'audit:read',
    method: 'GET',
    path: '/api/tenants/:tenantId/audit-logs',
    params: ById,
    query: z.strictObject({ ...OffsetQuery, action: filters.action, resource_type: filters.resourceType }),
    answers: { 200: z.array(AuditRow) },
    request: ({ params, query }) => ({
      params,
      query: {
        limit: Math.min(query.limit ?? 50, 200),
        offset: query.offset ?? 0,
        action: query.action,
        resourceType: query.resource_type,
      },
    }),
    answer: (body) =>
      body.items.map((entry: AuditEntry) => ({
        id: entry.id,
        position: entry.position,
        action: entry.action,
        resource_type: entry.resourceType,
        resource_id: entry.resourceId,
        user_id: entry.actor.id,
        old_values: entry.oldValues,
        new_values: entry.newValues,
        ip_address: entry.ip,
        user_agent: entry.userAgent,
        created_at: entry.createdAt,
      })),
  }),
];
