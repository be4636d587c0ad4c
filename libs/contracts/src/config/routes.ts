import { z } from 'zod';
import { face, route } from '../route.js';
import { Uuid } from '../values.js';
import { settingCategories, settingTypes } from './events.js';

const ById = z.strictObject({ tenantId: Uuid });
const ByKey = z.strictObject({ tenantId: Uuid, key: z.string().min(1).max(255) });
const Setting = z.object({
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

const SettingRow = z.object({
  setting_key: z.string(),
  setting_value: z.json(),
  setting_type: z.string(),
  is_encrypted: z.boolean(),
  updated_at: z.string(),
});
const row = (setting: Setting) => ({
  setting_key: setting.key,
  setting_value: setting.value,
  setting_type: setting.type,
  is_encrypted: setting.encrypted,
  updated_at: setting.updatedAt,
});
const surface = { tag: 'Configuration', scope: 'tenant', permission: 'settings:read', method: 'GET' } as const;
export const configRoutes = [listSettings, getSetting];
export const configFaces = [
  face({
    ...surface,
    of: listSettings,
    summary: "The tenant's settings",
    path: '/api/tenants/:tenantId/settings',
    params: ById,
    answers: { 200: z.array(SettingRow) },
    request: ({ params }) => ({ params }),
    answer: (body) => body.items.map(row),
  }),
  face({
    ...surface,
    of: getSetting,
    summary: 'One setting',
    path: '/api/tenants/:tenantId/settings/:key',
    params: ByKey,
    answers: { 200: SettingRow },
    request: ({ params }) => ({ params }),
    answer: row,
  }),
];
