import { z } from 'zod';
import { Actor } from '../events.js';
import { face, route } from '../route.js';
import { Change } from '../tenant/history-routes.js';
import { InstantText, PageQuery, page, Uuid } from '../values.js';
import { ApprovalPending } from './approval-routes.js';

const base = '/api/v1/platform/tenants/:tenantId/config-versions';
const surfaceBase = '/api/tenants/:tenantId/config-versions';
const ById = z.strictObject({ tenantId: Uuid });
const Version = z.coerce.number().int().min(1).max(1_000_000_000);
const common = { owner: 'provisioning', tag: 'Configuration', scope: 'platform', permission: 'settings:read', method: 'GET' } as const;

/** Of settings and feature flags. Sensitive values are masked. */
export const ConfigVersion = z.object({
  version: z.number().int(),
  position: z.number().int(),
  changedAt: InstantText,
  actor: Actor,
  changes: z.array(Change),
});
export type ConfigVersion = z.infer<typeof ConfigVersion>;

export const listConfigVersions = route({
  ...common,
  name: 'config-versions.list',
  summary: 'Every version of the settings and feature flags, newest first, with what it changed',
  path: base,
  params: ById,
  query: z.strictObject(PageQuery),
  answers: { 200: page(ConfigVersion) },
});
export const diffConfigVersions = route({
  ...common,
  name: 'config-versions.diff',
  summary: 'What is different in one version from another',
  path: `${base}/:from/diff/:to`,
  params: z.strictObject({ tenantId: Uuid, from: Version, to: Version }),
  answers: { 200: z.object({ changes: z.array(Change) }) },
});
export const rollBackConfig = route({
  ...common,
  name: 'config-versions.rollback',
  summary: 'Make settings and feature flags as they were in a version, as a new version; 202 where others have to approve it first',
  permission: 'settings:update',
  method: 'POST',
  path: `${base}/:version/rollback`,
  params: z.strictObject({ tenantId: Uuid, version: Version }),
  answers: { 200: ConfigVersion, 202: ApprovalPending },
});
export const configVersionRoutes = [listConfigVersions, diffConfigVersions, rollBackConfig];

const VersionRow = ConfigVersion.omit({ changedAt: true }).extend({ changed_at: InstantText });
const surface = { tag: 'Configuration', scope: 'tenant', permission: 'settings:read', method: 'GET' } as const;
export const configVersionFaces = [
  face({
    ...surface,
    of: listConfigVersions,
    summary: 'Every version of the settings and feature flags, newest first',
    path: surfaceBase,
    params: ById,
    query: listConfigVersions.query,
    answers: { 200: z.array(VersionRow) },
    request: ({ params, query }) => ({ params, query }),
    answer: (body) => body.items.map(({ changedAt, ...item }: ConfigVersion) => ({ ...item, changed_at: changedAt })),
  }),
  face({
    ...surface,
    of: diffConfigVersions,
    summary: 'What is different in one version from another',
    path: `${surfaceBase}/:from/diff/:to`,
    params: diffConfigVersions.params,
    answers: diffConfigVersions.answers,
    request: ({ params }) => ({ params }),
    answer: (body) => body,
  }),
];
