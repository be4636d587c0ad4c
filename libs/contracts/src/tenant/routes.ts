import { z } from 'zod';
import { ApprovalPending } from '../config/approval-routes.js';
import { PendingRow, pendingRow, SettingRow, settingRow } from '../config/routes.js';
import { canonicalPlan, tierName } from '../plans.js';
import { face, route } from '../route.js';
import { Email, Isolation, Locale, Moment, OffsetQuery, PageQuery, Phone, page, TimeZone, text, Uuid } from '../values.js';
import {
  CreateTenantBody,
  OperationView,
  PlacementView,
  ReasonBody,
  Tenant,
  TenantAccepted,
  TenantAt,
  TenantConfig,
  TenantListItem,
  TenantSort,
  TenantStatus,
  tenantFilter,
  tenantStatuses,
  UpdateTenantBody,
} from './bodies.js';

export const base = '/api/v1/platform/tenants';
export const ById = z.strictObject({ tenantId: Uuid });
const AtQuery = z.strictObject({
  at: Moment.optional().describe('The tenant of then, with its settings: a position in its log, or an RFC 3339 instant'),
});
const owner = 'provisioning';
const tag = 'Tenants';
const scope = 'platform';

export const createTenant = route({
  name: 'tenants.create',
  summary: 'Create a tenant; its provisioning goes on as an operation',
  owner,
  tag,
  scope,
  permission: 'tenant:create',
  method: 'POST',
  path: base,
  body: CreateTenantBody,
  answers: { 202: TenantAccepted },
});
export const listTenants = route({
  name: 'tenants.list',
  summary: 'List tenants: filtered, searched, sorted, in pages',
  owner,
  tag,
  scope,
  permission: 'tenant:read',
  method: 'GET',
  path: base,
  query: z.strictObject({
    ...PageQuery,
    offset: OffsetQuery.offset,
    ...tenantFilter,
    sort: TenantSort.optional(),
  }),
  answers: { 200: page(TenantListItem) },
});
export const getTenant = route({
  name: 'tenants.get',
  summary: 'One tenant; with `at` as it was then',
  owner,
  tag,
  scope,
  permission: 'tenant:read',
  method: 'GET',
  path: `${base}/:tenantId`,
  params: ById,
  query: AtQuery,
  answers: { 200: TenantAt },
});
export const getConfig = route({
  name: 'tenants.config',
  summary: 'The configuration of a tenant as a whole',
  owner,
  tag: 'Configuration',
  scope,
  permission: 'settings:read',
  method: 'GET',
  path: `${base}/:tenantId/config`,
  params: ById,
  answers: { 200: TenantConfig },
});
export const updateTenant = route({
  name: 'tenants.update',
  summary: "Change a tenant's name, plan, contacts, regional settings or tags; a change of plan needs billing:update as well",
  owner,
  tag,
  scope,
  permission: 'tenant:update',
  method: 'PUT',
  path: `${base}/:tenantId`,
  params: ById,
  body: UpdateTenantBody,
  answers: { 200: Tenant, 202: ApprovalPending },
});
export const getPlacement = route({
  name: 'tenants.placement',
  summary: 'Where the tenant lives',
  owner,
  tag,
  scope,
  permission: 'tenant:read',
  method: 'GET',
  path: `${base}/:tenantId/placement`,
  params: ById,
  answers: { 200: PlacementView },
});
const DatabaseLogin = z.object({ database: z.string(), user: z.string(), password: z.string(), generation: z.number().int() });
export const getDatabaseLogin = route({
  name: 'tenants.database-login',
  summary:
    "The login of the database that a tenant lives in, other than the control plane's, for the operator's product; `next`: of the one that it is on its way to",
  owner,
  tag,
  scope,
  permission: 'placement:connect',
  method: 'GET',
  path: `${base}/:tenantId/database-login`,
  params: ById,
  answers: { 200: DatabaseLogin.extend({ next: DatabaseLogin.nullable() }) },
});
export const MoveBody = z.strictObject({
  isolation: Isolation,
  server: z.string().max(63).optional(),
  database: z.string().max(63).optional(),
  keepSourceMinutes: z
    .number()
    .int()
    .min(0)
    .max(30 * 24 * 60)
    .optional()
    .describe('How long the old place is kept, so that the move can be rolled back; 0 unless given'),
});
export const moveTenant = route({
  name: 'tenants.move',
  summary: 'Have the tenant live at another level of isolation or in another database, while it is in use',
  owner,
  tag,
  scope,
  permission: 'tenant:move',
  method: 'POST',
  path: `${base}/:tenantId/moves`,
  params: ById,
  body: MoveBody,
  answers: { 202: OperationView },
});
const OperationId = z.strictObject({ operationId: Uuid });
export const getOperation = route({
  name: 'operations.get',
  summary: 'Progress of long work; `…/events` streams it',
  owner,
  tag: 'Operations',
  scope,
  permission: 'operation:read',
  method: 'GET',
  path: '/api/v1/platform/operations/:operationId',
  params: OperationId,
  answers: { 200: OperationView },
});
export const retryOperation = route({
  name: 'operations.retry',
  summary: 'Try failed work again',
  owner,
  tag: 'Operations',
  scope,
  permission: 'operation:update',
  method: 'POST',
  path: '/api/v1/platform/operations/:operationId/retry',
  params: OperationId,
  body: ReasonBody,
  bodyOptional: true,
  answers: { 202: OperationView },
});
export const cancelOperation = route({
  name: 'operations.cancel',
  summary: 'Stop work that goes on: what was done for one tenant is undone; of work over many, what has not begun is left out',
  owner,
  tag: 'Operations',
  scope,
  permission: 'operation:update',
  method: 'POST',
  path: '/api/v1/platform/operations/:operationId/cancel',
  params: OperationId,
  body: ReasonBody,
  bodyOptional: true,
  answers: { 202: OperationView },
});
export const pauseOperation = route({
  name: 'operations.pause',
  summary: 'Begin no further item of work over many tenants until it is resumed',
  owner,
  tag: 'Operations',
  scope,
  permission: 'operation:update',
  method: 'POST',
  path: '/api/v1/platform/operations/:operationId/pause',
  params: OperationId,
  body: ReasonBody,
  bodyOptional: true,
  answers: { 202: OperationView },
});
export const resumeOperation = route({
  name: 'operations.resume',
  summary: 'Go on with work that was paused, or that paused by itself',
  owner,
  tag: 'Operations',
  scope,
  permission: 'operation:update',
  method: 'POST',
  path: '/api/v1/platform/operations/:operationId/resume',
  params: OperationId,
  body: ReasonBody,
  bodyOptional: true,
  answers: { 202: OperationView },
});
export const rollBackOperation = route({
  name: 'operations.rollback',
  summary: 'Take work back that had its effect, while what it replaced is still kept',
  owner,
  tag: 'Operations',
  scope,
  permission: 'operation:update',
  method: 'POST',
  path: '/api/v1/platform/operations/:operationId/rollback',
  params: OperationId,
  body: ReasonBody,
  bodyOptional: true,
  answers: { 202: OperationView },
});

// The tenant surface.
const OrganizationBody = z.strictObject({
  organization_name: text(200),
  slug: CreateTenantBody.shape.slug,
  tenant_tier: z.string().max(63).optional(),
  billing_email: Email.optional(),
  contact_phone: Phone.optional(),
  timezone: TimeZone.optional(),
  locale: Locale.optional(),
  isolation: Isolation.optional(),
  domain: CreateTenantBody.shape.domain,
  parent_id: CreateTenantBody.shape.parentId,
});
export const Organization = z.object({
  tenant_id: Uuid,
  organization_name: z.string(),
  slug: z.string(),
  tenant_status: TenantStatus,
  tenant_tier: z.string(),
  parent_id: Uuid.nullable().describe('The reseller that the tenant is a child of'),
  tags: z.array(z.string()),
  billing_email: z.string().nullable().optional(),
  contact_phone: z.string().nullable().optional(),
  admin_email: z.string().nullable().optional(),
  domain: z.string(),
  isolation: Isolation,
  region: z.string(),
  timezone: z.string(),
  locale: z.string(),
  created_at: z.string(),
  updated_at: z.string(),
  version: z.number().int(),
  settings: z.array(SettingRow).optional().describe('Only with `at`'),
  operation: z.object({ id: Uuid, url: z.string() }).optional(),
});
export const organization = (tenant: z.infer<typeof TenantAt> & { operation?: unknown }) => ({
  tenant_id: tenant.id,
  organization_name: tenant.name,
  slug: tenant.slug,
  tenant_status: tenant.status,
  tenant_tier: tierName(tenant.plan.id),
  parent_id: tenant.parentId,
  tags: tenant.tags,
  billing_email: tenant.billingEmail,
  contact_phone: tenant.contactPhone,
  admin_email: tenant.adminEmail,
  domain: tenant.domain,
  isolation: tenant.isolation,
  region: tenant.region,
  timezone: tenant.timezone,
  locale: tenant.locale,
  created_at: tenant.createdAt,
  updated_at: tenant.updatedAt,
  version: tenant.version,
  settings: tenant.settings?.map(settingRow),
  operation: tenant.operation,
});
export const orgTag = 'Tenants (tenant surface)';

export const tenantFaces = [
  face({
    of: createTenant,
    summary: "Create a tenant; with a reseller's credentials a child of it",
    tag: orgTag,
    scope: 'reseller',
    permission: 'tenant:create',
    method: 'POST',
    path: '/api/tenants',
    body: OrganizationBody,
    answers: { 202: Organization },
    request: ({ body }) => ({
      body: {
        name: body.organization_name,
        slug: body.slug,
        plan: body.tenant_tier,
        billingEmail: body.billing_email,
        contactPhone: body.contact_phone,
        timezone: body.timezone,
        locale: body.locale,
        isolation: body.isolation,
        domain: body.domain,
        parentId: body.parent_id,
      },
    }),
    answer: organization,
  }),
  face({
    of: listTenants,
    summary: "List tenants; with a reseller's credentials its children",
    tag: orgTag,
    scope: 'reseller',
    permission: 'tenant:read',
    method: 'GET',
    path: '/api/tenants',
    query: z.strictObject({
      ...OffsetQuery,
      status: z.enum([...tenantStatuses, 'inactive']).optional(),
      tier: z.string().max(63).optional(),
      tag: z.string().max(50).optional(),
      q: text(100).optional().describe('Text in the name, slug or domain'),
      sort: TenantSort.optional(),
    }),
    answers: { 200: z.array(Organization) },
    request: ({ query }) => ({
      query: {
        status: query.status,
        tier: query.tier && canonicalPlan(query.tier),
        tag: query.tag,
        q: query.q,
        sort: query.sort,
        limit: Math.min(query.limit ?? 50, 200),
        offset: query.offset ?? 0,
      },
    }),
    answer: (body) => body.items.map(organization),
  }),
  face({
    of: getTenant,
    summary: "The caller's own tenant",
    tag: orgTag,
    scope: 'tenant',
    permission: 'tenant:read',
    method: 'GET',
    path: '/api/tenants/current',
    query: AtQuery,
    answers: { 200: Organization },
    request: ({ query }, caller) => ({ params: { tenantId: caller.tenantId }, query }),
    answer: organization,
  }),
  face({
    of: getTenant,
    summary: 'One tenant',
    tag: orgTag,
    scope: 'tenant',
    permission: 'tenant:read',
    method: 'GET',
    path: '/api/tenants/:tenantId',
    params: ById,
    query: AtQuery,
    answers: { 200: Organization },
    request: ({ params, query }) => ({ params, query }),
    answer: organization,
  }),
  face({
    of: updateTenant,
    summary: 'Change a tenant',
    tag: orgTag,
    scope: 'tenant',
    permission: 'tenant:update',
    method: 'PUT',
    path: '/api/tenants/:tenantId',
    params: ById,
    body: OrganizationBody.pick({ tenant_tier: true, timezone: true, locale: true }).extend({
      organization_name: text(200).optional(),
      billing_email: Email.nullable().optional(),
      contact_phone: Phone.nullable().optional(),
    }),
    answers: { 200: Organization, 202: PendingRow },
    request: ({ params, body }) => ({
      params,
      body: {
        name: body.organization_name,
        plan: body.tenant_tier,
        billingEmail: body.billing_email,
        contactPhone: body.contact_phone,
        timezone: body.timezone,
        locale: body.locale,
      },
    }),
    answer: (body, status) => (status === 202 ? pendingRow(body) : organization(body)),
  }),
];

export const tenantRoutes = [
  createTenant,
  listTenants,
  getTenant,
  updateTenant,
  getConfig,
  getPlacement,
  moveTenant,
  getDatabaseLogin,
  getOperation,
  retryOperation,
  cancelOperation,
  pauseOperation,
  resumeOperation,
  rollBackOperation,
];
