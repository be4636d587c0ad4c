import { z } from 'zod';
import { face, operation, route } from '../route.js';
import { Uuid } from '../values.js';
import { ApprovalPending } from './approval-routes.js';
import { SettingKey, settingCategories, settingTypes } from './events.js';

const ById = z.strictObject({ tenantId: Uuid });
const ByKey = z.strictObject({ tenantId: Uuid, key: z.string().min(1).max(255) });
export const Setting = z.object({
  key: z.string(),
  value: z.json(),
  type: z.enum(settingTypes),
  category: z.enum(settingCategories),
  encrypted: z.boolean(),
  updatedAt: z.string(),
});
export type Setting = z.infer<typeof Setting>;
const common = { owner: 'provisioning', tag: 'Configuration', scope: 'platform', permission: 'settings:read', method: 'GET' } as const;
const Reveal = z
  .enum(['true', 'false'])
  .optional()
  .describe('true: sensitive values in clear, which needs sensitive:read; else they are masked, whoever asks');

export const listSettings = route({
  ...common,
  name: 'settings.list',
  summary: "The tenant's settings",
  path: '/api/v1/platform/tenants/:tenantId/settings',
  params: ById,
  query: z.strictObject({ category: z.enum(settingCategories).optional(), reveal: Reveal }),
  answers: { 200: z.object({ items: z.array(Setting) }) },
});
export const getSetting = route({
  ...common,
  name: 'settings.get',
  summary: 'One setting',
  path: '/api/v1/platform/tenants/:tenantId/settings/:key',
  params: ByKey,
  query: z.strictObject({ reveal: Reveal }),
  answers: { 200: Setting },
});

/** Of a new setting: type as the value's, category general, not encrypted, unless given. Of one that exists they stay as they are. */
const PutSetting = z.strictObject({
  value: z.json(),
  type: z.enum(settingTypes).optional(),
  category: z.enum(settingCategories).optional(),
  encrypted: z.boolean().optional().describe('Sensitive: readers get it masked'),
});
const PutByKey = z.strictObject({ tenantId: Uuid, key: SettingKey });
export const putSetting = route({
  ...common,
  name: 'settings.put',
  summary: 'Set a setting; 202 where others have to approve it first',
  permission: 'settings:update',
  method: 'PUT',
  path: '/api/v1/platform/tenants/:tenantId/settings/:key',
  params: PutByKey,
  body: PutSetting,
  answers: { 200: Setting, 202: ApprovalPending },
});
export const removeSetting = route({
  ...common,
  name: 'settings.remove',
  summary: 'Remove a custom setting; 202 where others have to approve it first',
  permission: 'settings:update',
  method: 'DELETE',
  path: '/api/v1/platform/tenants/:tenantId/settings/:key',
  params: ByKey,
  answers: { 200: z.object({ key: z.string(), removed: z.boolean() }), 202: ApprovalPending },
});

/** Keys of settings whose values, and what they were before, are hidden from everybody who doesn't ask for them by name. */
export const readSecretKeys = operation({
  name: 'settings.secret-keys',
  owner: 'provisioning',
  callers: ['audit'],
  input: z.object({ tenantId: Uuid }),
  output: z.object({ keys: z.array(z.string()) }),
});

export const SettingRow = z.object({
  setting_key: z.string(),
  setting_value: z.json(),
  setting_type: z.string(),
  is_encrypted: z.boolean(),
  updated_at: z.string(),
});
export const settingRow = (setting: Setting) => ({
  setting_key: setting.key,
  setting_value: setting.value,
  setting_type: setting.type,
  is_encrypted: setting.encrypted,
  updated_at: setting.updatedAt,
});
export const PendingRow = z.object({ approval: z.object({ id: Uuid, status: z.string(), expires_at: z.string() }) });
export const pendingRow = ({ approval: { id, status, expiresAt } }: ApprovalPending) => ({
  approval: { id, status, expires_at: expiresAt },
});
const surface = { tag: 'Configuration', scope: 'tenant', permission: 'settings:read', method: 'GET' } as const;
export const configRoutes = [listSettings, getSetting, putSetting, removeSetting];
export const configFaces = [
  face({
    ...surface,
    of: listSettings,
    summary: "The tenant's settings",
    path: '/api/tenants/:tenantId/settings',
    params: ById,
    query: listSettings.query,
    answers: { 200: z.array(SettingRow) },
    request: ({ params, query }) => ({ params, query }),
    answer: (body) => body.items.map(settingRow),
  }),
  face({
    ...surface,
    of: getSetting,
    summary: 'One setting',
    path: '/api/tenants/:tenantId/settings/:key',
    params: ByKey,
    query: getSetting.query,
    answers: { 200: SettingRow },
    request: ({ params, query }) => ({ params, query }),
    answer: settingRow,
  }),
  face({
    ...surface,
    of: putSetting,
    summary: 'Set a setting',
    permission: 'settings:update',
    method: 'PUT',
    path: '/api/tenants/:tenantId/settings/:key',
    params: PutByKey,
    body: z.strictObject({
      setting_value: PutSetting.shape.value,
      setting_type: PutSetting.shape.type,
      category: PutSetting.shape.category,
      is_encrypted: PutSetting.shape.encrypted,
    }),
    answers: { 200: SettingRow, 202: PendingRow },
    request: ({ params, body }) => ({
      params,
      body: { value: body.setting_value, type: body.setting_type, category: body.category, encrypted: body.is_encrypted },
    }),
    answer: (body, status) => (status === 202 ? pendingRow(body) : settingRow(body)),
  }),
  face({
    ...surface,
    of: removeSetting,
    summary: 'Remove a custom setting',
    permission: 'settings:update',
    method: 'DELETE',
    path: '/api/tenants/:tenantId/settings/:key',
    params: ByKey,
    answers: { 200: z.object({ setting_key: z.string(), removed: z.boolean() }), 202: PendingRow },
    request: ({ params }) => ({ params }),
    answer: (body, status) => (status === 202 ? pendingRow(body) : { setting_key: body.key, removed: body.removed }),
  }),
];
