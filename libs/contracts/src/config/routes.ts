import { z } from 'zod';
import { face, route } from '../route.js';
import { Uuid } from '../values.js';
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

export const listSettings = route({
  ...common,
  name: 'settings.list',
  summary: "The tenant's settings",
  path: '/api/v1/platform/tenants/:tenantId/settings',
  params: ById,
  answers: { 200: z.object({ items: z.array(Setting) }) },
});
export const getSetting = route({
  ...common,
  name: 'settings.get',
  summary: 'One setting',
  path: '/api/v1/platform/tenants/:tenantId/settings/:key',
  params: ByKey,
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
  summary: 'Set a setting',
  permission: 'settings:update',
  method: 'PUT',
  path: '/api/v1/platform/tenants/:tenantId/settings/:key',
  params: PutByKey,
  body: PutSetting,
  answers: { 200: Setting },
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
const surface = { tag: 'Configuration', scope: 'tenant', permission: 'settings:read', method: 'GET' } as const;
export const configRoutes = [listSettings, getSetting, putSetting];
export const configFaces = [
  face({
    ...surface,
    of: listSettings,
    summary: "The tenant's settings",
    path: '/api/tenants/:tenantId/settings',
    params: ById,
    answers: { 200: z.array(SettingRow) },
    request: ({ params }) => ({ params }),
    answer: (body) => body.items.map(settingRow),
  }),
  face({
    ...surface,
    of: getSetting,
    summary: 'One setting',
    path: '/api/tenants/:tenantId/settings/:key',
    params: ByKey,
    answers: { 200: SettingRow },
    request: ({ params }) => ({ params }),
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
    answers: { 200: SettingRow },
    request: ({ params, body }) => ({
      params,
      body: { value: body.setting_value, type: body.setting_type, category: body.category, encrypted: body.is_encrypted },
    }),
    answer: settingRow,
  }),
];
