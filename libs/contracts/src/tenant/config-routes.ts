import { z } from 'zod';
import { ApprovalPending } from '../config/approval-routes.js';
import { Rollout, SettingKey } from '../config/events.js';
import { route } from '../route.js';
import { Isolation, text, Uuid } from '../values.js';
import { TenantConfig, UpdateTenantBody } from './bodies.js';
import { Change } from './history-routes.js';

const base = '/api/v1/platform/tenants/:tenantId';
const ById = z.strictObject({ tenantId: Uuid });
const common = { owner: 'provisioning', scope: 'platform', params: ById } as const;

const Values = z.record(SettingKey, z.json()).refine((value) => Object.keys(value).length <= 1_000, 'must not have more than 1000 entries');
/** As it is read. What is not named stays; a setting of null goes; what can't be changed here may be named as it is. */
export const PutConfigBody = z.strictObject({
  tenantId: Uuid.optional(),
  name: text(200).optional(),
  plan: z.union([z.string().max(63), z.strictObject({ id: z.string().max(63), version: z.number().int().optional() })]).optional(),
  tier: z.string().max(63).optional(),
  region: z.string().max(40).optional(),
  isolation: Isolation.optional(),
  quotas: z.record(z.string().max(63), z.number().int().nullable()).optional(),
  security: Values.optional().describe('Settings of the category security'),
  settings: Values.optional().describe('Settings of any category; a new one is of the category general'),
  features: z
    .record(SettingKey, z.union([z.boolean(), z.strictObject(Rollout.partial({ percentage: true }).shape)]))
    .optional()
    .describe('Feature flags, on or off for all subjects, or for a percentage of them'),
});
export type PutConfigBody = z.infer<typeof PutConfigBody>;

export const Preview = z.object({
  changes: z.array(Change),
  impacts: z.array(
    z.object({
      kind: z.enum(['over_limit', 'price', 'feature_lost', 'feature_gained', 'limit', 'retention', 'security', 'approval']),
      detail: z.string(),
    }),
  ),
});
export type Preview = z.infer<typeof Preview>;

export const putConfig = route({
  ...common,
  name: 'config.put',
  summary: 'Change the configuration of a tenant as a whole; 202 where others have to approve it first',
  tag: 'Configuration',
  permission: 'settings:update',
  method: 'PUT',
  path: `${base}/config`,
  body: PutConfigBody,
  answers: { 200: TenantConfig, 202: ApprovalPending },
});
export const previewConfig = route({
  ...common,
  name: 'config.preview',
  summary: 'What such a PUT of the configuration would change, and what would follow from it; nothing is saved',
  tag: 'Configuration',
  permission: 'settings:read',
  method: 'POST',
  path: `${base}/config/preview`,
  body: PutConfigBody,
  answers: { 200: Preview },
});
export const previewTenant = route({
  ...common,
  name: 'tenants.preview',
  summary: 'What such a PUT of the tenant would change, and what would follow from it; nothing is saved',
  tag: 'Tenants',
  permission: 'tenant:read',
  method: 'POST',
  path: `${base}/preview`,
  body: UpdateTenantBody,
  answers: { 200: Preview },
});
export const tenantConfigRoutes = [putConfig, previewConfig, previewTenant];
