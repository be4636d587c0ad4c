import { z } from 'zod';
import { LimitsBody, overLimits } from '../quota/limit-routes.js';
import { route } from '../route.js';
import { OperationRef, OperationView, Tags, TenantFilter, tenantIdList, UpdateTenantBody, WhyBody } from '../tenant/bodies.js';
import { PutConfigBody } from '../tenant/config-routes.js';
import { MoveBody } from '../tenant/routes.js';
import { longText, text, Uuid } from '../values.js';
import { BlueprintName, BlueprintVersion } from './blueprints.js';

const how = {
  tenantIds: tenantIdList.optional(),
  filter: TenantFilter.optional().describe(
    'As in the list of tenants; without a condition it is all of them. Deleted tenants only where `status` names them',
  ),
  dryRun: z.boolean().optional().describe('Says which tenants it would be, and changes nothing'),
  expected: z.number().int().min(0).optional().describe('How many tenants it is to be: refused where it would be another number'),
  concurrency: z.number().int().min(1).max(32).optional().describe('Tenants at once; 8 unless given, of moves and migrations 2'),
  stopAfterFailures: z.number().int().min(1).optional().describe('So many failed tenants pause it; it goes through all unless given'),
};
const action = <A extends string, P extends z.ZodType>(name: A, params: P) => z.strictObject({ action: z.literal(name), params, ...how });

/** Those of `canary` get it first, and the others only once somebody has resumed the operation, unless `pauseAfterCanary` is false. */
const SettingsParams = PutConfigBody.pick({ security: true, settings: true, features: true }).extend({
  canary: z.array(Uuid).min(1).max(100).optional().describe('Of the tenants that it is for, those that get it first'),
  pauseAfterCanary: z.boolean().optional().describe('true unless given; without, it goes on where no canary failed'),
});
export type BulkSettings = z.infer<typeof SettingsParams>;

/** Without a blueprint: the control plane's own tables of the tenants. With one: those, then the product's to a version of it. */
const MigrateParams = z.strictObject({
  blueprint: BlueprintName.optional(),
  toVersion: BlueprintVersion.optional().describe('The last one unless given'),
  lockTimeoutMs: z.number().int().min(50).max(60_000).optional().describe('How long a statement waits for a lock; 1,500 unless given'),
});

/** What can be done to many tenants at once, each under the rules of doing it to one. */
export const BulkBody = z
  .discriminatedUnion('action', [
    action('activate', WhyBody.optional()),
    action('suspend', WhyBody.optional()),
    action('reactivate', WhyBody.optional()),
    action('archive', WhyBody.optional()),
    action('restore', WhyBody.optional()),
    // A trial is what a tenant begins with: to change plans begins none.
    action('plan', UpdateTenantBody.pick({ plan: true }).required()),
    action(
      'tags',
      z
        .strictObject({ add: Tags.optional(), remove: Tags.optional() })
        .refine(({ add = [], remove = [] }) => add.length + remove.length > 0, {
          message: 'must name tags to add or to remove',
          params: { rule: 'not_empty' },
        }),
    ),
    action(
      'settings',
      SettingsParams.refine(
        ({ security = {}, settings = {}, features = {} }) => Object.keys({ ...security, ...settings, ...features }).length > 0,
        {
          message: 'must have something to set: security, settings or features',
          params: { rule: 'not_empty' },
        },
      ),
    ),
    action('limits', LimitsBody),
    action('move', MoveBody),
    action('migrate', MigrateParams.optional()),
    action('notify', z.strictObject({ subject: text(200), text: longText(10_000, 1) })),
  ])
  .refine(({ tenantIds, filter }) => (tenantIds === undefined) !== (filter === undefined), {
    message: 'must come with either tenantIds or filter, and not with both',
    path: ['filter'],
    params: { rule: 'one_of' },
  });
export type BulkBody = z.infer<typeof BulkBody>;
export type BulkAction = BulkBody['action'];

/** What doing it to one tenant needs, doing it to many needs as well. */
export const bulkPermissions: Record<BulkAction, string> = {
  activate: 'tenant:update',
  suspend: 'tenant:suspend',
  reactivate: 'tenant:suspend',
  archive: 'tenant:suspend',
  restore: 'tenant:suspend',
  plan: 'billing:update',
  tags: 'tenant:update',
  settings: 'settings:update',
  limits: 'quota:update',
  migrate: 'blueprint:rollout',
  move: 'tenant:move',
  notify: 'tenant:notify',
};

export const BulkPreview = z.object({
  action: z.string(),
  matched: z.number().int(),
  sample: z
    .array(z.object({ id: Uuid, name: z.string(), slug: z.string(), status: z.string(), plan: z.string() }))
    .describe('The first ten'),
  unknown: z.array(Uuid).describe('Of `tenantIds`: there are no such tenants'),
  overLimit: overLimits.output.optional().describe('Of limits: how many tenants use more than them already, and some of those'),
});
export const BulkAccepted = OperationView.extend({ operation: OperationRef, matched: z.number().int() });

export const startBulkOperation = route({
  owner: 'provisioning',
  tag: 'Operations',
  scope: 'platform',
  name: 'bulk-operations.start',
  summary: 'Do one thing to many tenants, as an operation: paused, resumed, cancelled and its failed tenants retried like any other',
  permission: 'tenant:bulk',
  method: 'POST',
  path: '/api/v1/platform/bulk-operations',
  body: BulkBody,
  answers: { 200: BulkPreview, 202: BulkAccepted },
});
