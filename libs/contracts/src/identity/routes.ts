import { z } from 'zod';
import { face, route } from '../route.js';
import { InstantText, text, Uuid } from '../values.js';
import { memberRoles } from './events.js';

const ById = z.strictObject({ tenantId: Uuid });
const base = '/api/v1/platform';
const common = { owner: 'identity', tag: 'Access', scope: 'platform' } as const;

export const Member = z.object({
  id: Uuid,
  email: z.string().nullable().describe('null where the caller may not read personal data'),
  role: z.enum(memberRoles),
  status: z.enum(['invited', 'active', 'removed']),
  invitedAt: z.string(),
});
export const listMembers = route({
  ...common,
  name: 'members.list',
  summary: 'People who belong to the tenant',
  permission: 'member:read',
  method: 'GET',
  path: `${base}/tenants/:tenantId/members`,
  params: ById,
  answers: { 200: z.object({ items: z.array(Member) }) },
});

/** What a permission looks like: `<resource>:<verb>`, `<resource>:*` or `*`. */
export const Permission = z.string().regex(/^(\*|[a-z][a-z-]{0,30}:(\*|[a-z][a-z-]{0,30}))$/, 'must look like tenant:read, tenant:* or *');
const CreateKey = z.strictObject({
  name: text(100),
  permissions: z.array(Permission).min(1).max(100).optional(),
  expiresAt: InstantText.optional().describe(
    'From when on it does not work any more; at the latest, and unless given, the end of the key that makes it',
  ),
});
export const ApiKey = z.object({
  id: Uuid,
  name: z.string(),
  prefix: z.string(),
  permissions: z.array(z.string()),
  tenantId: Uuid.nullable(),
  createdAt: z.string(),
  expiresAt: z.string().nullable(),
  revokedAt: z.string().nullable(),
});
const key = z.string().describe('Shown this once');
const CreatedKey = ApiKey.extend({ key });
export const PlatformKey = ApiKey.extend({
  owner: z.string().nullable().describe('Whom it was made for, where that was said; null where the caller may not read personal data'),
  person: z
    .string()
    .describe('Whose it is: keys with the same are one person’s, who cannot approve what he asked for with another of them'),
});

export const createTenantKey = route({
  ...common,
  name: 'api-keys.create',
  summary: 'Create an API key of the tenant; the key is shown this once',
  permission: 'api-key:create',
  method: 'POST',
  path: `${base}/tenants/:tenantId/api-keys`,
  params: ById,
  body: CreateKey,
  answers: { 201: CreatedKey },
});
export const listTenantKeys = route({
  ...common,
  name: 'api-keys.list',
  summary: "The tenant's API keys",
  permission: 'api-key:read',
  method: 'GET',
  path: `${base}/tenants/:tenantId/api-keys`,
  params: ById,
  answers: { 200: z.object({ items: z.array(ApiKey) }) },
});
export const revokeTenantKey = route({
  ...common,
  name: 'api-keys.revoke',
  summary: 'Revoke an API key of the tenant',
  permission: 'api-key:revoke',
  method: 'DELETE',
  path: `${base}/tenants/:tenantId/api-keys/:keyId`,
  params: z.strictObject({ tenantId: Uuid, keyId: Uuid }),
  answers: { 200: ApiKey },
});
export const createPlatformKey = route({
  ...common,
  name: 'platform-keys.create',
  summary: 'Create a platform API key; the key is shown this once',
  permission: 'platform-key:create',
  method: 'POST',
  path: `${base}/api-keys`,
  body: CreateKey.extend({
    owner: text(200)
      .optional()
      .describe('With the first platform key: the person whom it is for. A key made with another key is that key’s person’s'),
  }),
  answers: { 201: PlatformKey.extend({ key }) },
});
export const listPlatformKeys = route({
  ...common,
  name: 'platform-keys.list',
  summary: 'The platform API keys, newest first',
  permission: 'platform-key:read',
  method: 'GET',
  path: `${base}/api-keys`,
  answers: { 200: z.object({ items: z.array(PlatformKey) }) },
});
export const revokePlatformKey = route({
  ...common,
  name: 'platform-keys.revoke',
  summary: 'Revoke a platform API key; the last one for everything stays',
  permission: 'platform-key:revoke',
  method: 'DELETE',
  path: `${base}/api-keys/:keyId`,
  params: z.strictObject({ keyId: Uuid }),
  answers: { 200: PlatformKey },
});

const surface = { tag: 'Access', scope: 'tenant' } as const;
const keyRow = (key: z.infer<typeof ApiKey> & { key?: string }) => ({
  id: key.id,
  name: key.name,
  prefix: key.prefix,
  permissions: key.permissions,
  created_at: key.createdAt,
  expires_at: key.expiresAt,
  revoked_at: key.revokedAt,
  key: key.key,
});
const KeyRow = z.object({
  id: Uuid,
  name: z.string(),
  prefix: z.string(),
  permissions: z.array(z.string()),
  created_at: z.string(),
  expires_at: z.string().nullable(),
  revoked_at: z.string().nullable(),
  key: z.string().optional(),
});
export const identityRoutes = [
  ...[listMembers, createTenantKey, listTenantKeys, revokeTenantKey],
  ...[createPlatformKey, listPlatformKeys, revokePlatformKey],
];
export const identityFaces = [
  face({
    ...surface,
    of: listMembers,
    summary: 'People who belong to the tenant',
    permission: 'member:read',
    method: 'GET',
    path: '/api/tenants/:tenantId/members',
    params: ById,
    answers: {
      200: z.array(z.object({ id: Uuid, email: z.string().nullable(), role: z.string(), status: z.string(), invited_at: z.string() })),
    },
    request: ({ params }) => ({ params }),
    answer: (body) =>
      body.items.map((member: z.infer<typeof Member>) => ({
        id: member.id,
        email: member.email,
        role: member.role,
        status: member.status,
        invited_at: member.invitedAt,
      })),
  }),
  face({
    ...surface,
    of: createTenantKey,
    summary: 'Create an API key',
    permission: 'api-key:create',
    method: 'POST',
    path: '/api/tenants/:tenantId/api-keys',
    params: ById,
    body: CreateKey.omit({ expiresAt: true }).extend({ expires_at: CreateKey.shape.expiresAt }),
    answers: { 201: KeyRow },
    request: ({ params, body: { expires_at: expiresAt, ...body } }) => ({ params, body: { ...body, expiresAt } }),
    answer: keyRow,
  }),
  face({
    ...surface,
    of: listTenantKeys,
    summary: "The tenant's API keys",
    permission: 'api-key:read',
    method: 'GET',
    path: '/api/tenants/:tenantId/api-keys',
    params: ById,
    answers: { 200: z.array(KeyRow) },
    request: ({ params }) => ({ params }),
    answer: (body) => body.items.map(keyRow),
  }),
  face({
    ...surface,
    of: revokeTenantKey,
    summary: 'Revoke an API key',
    permission: 'api-key:revoke',
    method: 'DELETE',
    path: '/api/tenants/:tenantId/api-keys/:keyId',
    params: z.strictObject({ tenantId: Uuid, keyId: Uuid }),
    answers: { 200: KeyRow },
    request: ({ params }) => ({ params }),
    answer: keyRow,
  }),
];
