import { z } from 'zod';
import { face, route } from '../route.js';
import { ReasonBody, TenantFilter, tenantIdList } from '../tenant/bodies.js';
import { InstantText, PageQuery, page, text, Uuid } from '../values.js';

const base = '/api/v1/platform/maintenance-windows';
const common = { owner: 'provisioning', tag: 'Maintenance', scope: 'platform' } as const;
/** A window is open for so long at most; gates look no further back. */
export const MAX_WINDOW_DAYS = 30;
const ById = z.strictObject({ windowId: Uuid });

export const MaintenanceBody = z.strictObject({
  scope: z.union([
    z.strictObject({ tenantIds: tenantIdList }),
    z.strictObject({ filter: TenantFilter }).describe('The tenants that match now'),
    z.strictObject({ all: z.literal(true) }).describe('All, and those that are created meanwhile'),
  ]),
  startsAt: InstantText.optional().describe('Now, after the minutes of grace, unless given'),
  endsAt: InstantText.describe('It ends by itself then'),
  graceMinutes: z
    .number()
    .int()
    .min(0)
    .max(10_080)
    .optional()
    .describe('Tenants are reminded so long before it starts; without `startsAt` it starts so long after now. 0 unless given'),
  reason: text(500).describe('Tenants see it'),
  emergency: z.boolean().optional().describe('Starts at once, without grace'),
  dryRun: z.boolean().optional().describe('Says which tenants it would be, and announces nothing'),
});
export const MaintenanceWindow = z.object({
  id: Uuid,
  status: z.enum(['scheduled', 'active', 'ended', 'cancelled']),
  scope: z.enum(['all', 'some']),
  tenants: z.number().int().nullable().describe('How many; null for all'),
  startsAt: InstantText,
  endsAt: InstantText,
  noticeAt: InstantText.nullable().describe('When tenants are reminded'),
  reason: z.string(),
  emergency: z.boolean(),
  createdAt: InstantText,
  startedAt: InstantText.nullable(),
  endedAt: InstantText.nullable(),
  endReason: z.string().optional().describe('What was said when it was ended; of one window, to who may read personal data'),
});
export type MaintenanceWindow = z.infer<typeof MaintenanceWindow>;
const MaintenancePreview = z.object({
  matched: z.number().int(),
  sample: z.array(z.object({ id: Uuid, name: z.string(), slug: z.string(), status: z.string(), plan: z.string() })),
  unknown: z.array(Uuid),
});

export const createMaintenanceWindow = route({
  ...common,
  name: 'maintenance-windows.create',
  summary: "Announce maintenance, or begin it at once: while it lasts the tenants' own requests are answered 503 with Retry-After",
  permission: 'maintenance:update',
  method: 'POST',
  path: base,
  body: MaintenanceBody,
  answers: { 200: MaintenancePreview, 201: MaintenanceWindow },
});
export const listMaintenanceWindows = route({
  ...common,
  name: 'maintenance-windows.list',
  summary: 'Maintenance windows, the latest first',
  permission: 'maintenance:read',
  method: 'GET',
  path: base,
  query: z.strictObject({ ...PageQuery, status: MaintenanceWindow.shape.status.optional() }),
  answers: { 200: page(MaintenanceWindow) },
});
export const getMaintenanceWindow = route({
  ...common,
  name: 'maintenance-windows.get',
  summary: 'One maintenance window',
  permission: 'maintenance:read',
  method: 'GET',
  path: `${base}/:windowId`,
  params: ById,
  answers: { 200: MaintenanceWindow },
});
export const endMaintenanceWindow = route({
  ...common,
  name: 'maintenance-windows.end',
  summary: 'End maintenance now; one that has not begun is cancelled',
  permission: 'maintenance:update',
  method: 'POST',
  path: `${base}/:windowId/end`,
  params: ById,
  body: ReasonBody,
  bodyOptional: true,
  answers: { 200: MaintenanceWindow },
});

const TenantsWindow = MaintenanceWindow.pick({ id: true, status: true, startsAt: true, endsAt: true, reason: true, emergency: true });
const ByTenant = z.strictObject({ tenantId: Uuid });
export const listTenantMaintenance = route({
  ...common,
  name: 'maintenance-windows.of-tenant',
  summary: 'Maintenance that concerns a tenant: announced, or going on',
  permission: 'tenant:read',
  method: 'GET',
  path: '/api/v1/platform/tenants/:tenantId/maintenance',
  params: ByTenant,
  answers: { 200: z.object({ items: z.array(TenantsWindow) }) },
});
export const maintenanceFaces = [
  face({
    of: listTenantMaintenance,
    summary: 'Maintenance that was announced; while it goes on this too answers 503',
    tag: 'Tenants (tenant surface)',
    scope: 'tenant',
    permission: 'tenant:read',
    method: 'GET',
    path: '/api/tenants/:tenantId/maintenance',
    params: ByTenant,
    answers: {
      200: z.array(
        z.object({ id: Uuid, status: z.string(), starts_at: z.string(), ends_at: z.string(), reason: z.string(), emergency: z.boolean() }),
      ),
    },
    request: ({ params }) => ({ params }),
    answer: ({ items }: { items: z.infer<typeof TenantsWindow>[] }) =>
      items.map(({ startsAt, endsAt, ...rest }) => ({ ...rest, starts_at: startsAt, ends_at: endsAt })),
  }),
];

export const maintenanceRoutes = [
  listTenantMaintenance,
  createMaintenanceWindow,
  listMaintenanceWindows,
  getMaintenanceWindow,
  endMaintenanceWindow,
];
