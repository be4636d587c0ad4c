import { z } from 'zod';
import { type Route, route } from '../route.js';
import { OperationView } from '../tenant/bodies.js';
import { InstantText, Isolation, PageQuery, page, Uuid } from '../values.js';

const base = '/api/v1/platform/blueprints';
const common = { owner: 'provisioning', tag: 'Blueprints', scope: 'platform' } as const;

export const BlueprintName = z
  .string()
  .max(50)
  .regex(/^[a-z][a-z0-9_-]*$/, 'must begin with a letter and consist of a–z, 0–9, _ and -')
  .refine((name) => name !== 'tenantry', { message: 'is the name of the control plane’s own tables', params: { rule: 'reserved' } });
const ByName = z.strictObject({ name: BlueprintName });
export const BlueprintVersion = z.number().int().min(1).max(1_000_000);
const Version = BlueprintVersion;
export const blueprintStatuses = ['active', 'retired'] as const;
const Status = z.enum(blueprintStatuses).describe('retired: new tenants do not get it any more; who has it keeps it');

const VersionSummary = z.object({
  version: Version,
  sha256: z.string().describe('Of the SQL'),
  statements: z.number().int(),
  compiled: z.boolean().describe('New tenants get the state of this version by one script; else its versions are replayed'),
  createdAt: InstantText,
});
const VersionView = VersionSummary.extend({ blueprint: z.string(), sql: z.string() });
export type BlueprintVersionView = z.infer<typeof VersionView>;
const BlueprintView = z.object({
  name: z.string(),
  supportsShared: z.boolean(),
  status: Status,
  latestVersion: Version.nullable(),
  createdAt: InstantText,
  updatedAt: InstantText,
  versions: z.array(VersionSummary).describe('Newest first, at most 200'),
});
export type BlueprintView = z.infer<typeof BlueprintView>;

export const listBlueprints = route({
  ...common,
  name: 'blueprints.list',
  summary: 'The blueprints: versioned SQL of the operator’s own product',
  permission: 'blueprint:read',
  method: 'GET',
  path: base,
  query: z.strictObject(PageQuery),
  answers: { 200: page(BlueprintView.omit({ versions: true })) },
});
export const getBlueprint = route({
  ...common,
  name: 'blueprints.get',
  summary: 'One blueprint with its versions',
  permission: 'blueprint:read',
  method: 'GET',
  path: `${base}/:name`,
  params: ByName,
  answers: { 200: BlueprintView },
});
export const putBlueprint = route({
  ...common,
  name: 'blueprints.put',
  summary: 'Register a blueprint, or change whether it supports shared tenants and whether new tenants get it',
  permission: 'blueprint:update',
  method: 'PUT',
  path: `${base}/:name`,
  params: ByName,
  body: z.strictObject({ supportsShared: z.boolean(), status: Status.optional() }),
  answers: { 200: BlueprintView, 201: BlueprintView },
  timeoutMs: 30_000,
});
export const publishBlueprintVersion = route({
  ...common,
  name: 'blueprints.publish-version',
  summary: 'Add a version: SQL on unqualified names, tried out on a scratch schema before it is accepted',
  permission: 'blueprint:update',
  method: 'POST',
  path: `${base}/:name/versions`,
  params: ByName,
  body: z.strictObject({
    version: Version,
    sql: z
      .string()
      .max(100_000)
      .refine((sql) => sql.isWellFormed() && !sql.includes('\0'), { message: 'must be well-formed text', params: { rule: 'clean_text' } }),
  }),
  answers: { 201: VersionView },
  timeoutMs: 30_000,
});
export const getBlueprintVersion = route({
  ...common,
  name: 'blueprints.get-version',
  summary: 'One version with its SQL',
  permission: 'blueprint:read',
  method: 'GET',
  path: `${base}/:name/versions/:version`,
  params: ByName.extend({ version: z.coerce.number().int().min(1).max(1_000_000) }),
  answers: { 200: VersionView },
});

/** Which tenants; all conditions hold. */
const Filter = z.strictObject({
  tenantIds: z.array(Uuid).min(1).max(10_000).optional(),
  isolation: Isolation.optional(),
  status: z.string().max(30).optional(),
  plan: z.string().max(63).optional(),
  tag: z.string().max(50).optional(),
});
export type CampaignFilter = z.infer<typeof Filter>;
export const CampaignBody = z.strictObject({
  toVersion: Version,
  canary: z.number().int().min(0).max(10_000).optional().describe('Tenants that go first, alone; 0 unless given'),
  waves: z
    .array(z.number().min(1).max(100))
    .min(1)
    .max(20)
    .refine((waves) => waves.every((share, index) => index === 0 || share > waves[index - 1]!), {
      message: 'must grow',
      params: { rule: 'growing' },
    })
    .optional()
    .describe('Percent of the tenants that are through at the end of each wave after the canary; the last is always 100'),
  concurrency: z.number().int().min(1).max(8).optional().describe('Sessions at a time; 2 unless given'),
  lockTimeoutMs: z.number().int().min(50).max(60_000).optional().describe('How long a statement waits for a lock; 1,500 unless given'),
  stopAfterFailures: z.number().int().min(1).max(10_000).optional().describe('It pauses after so many failures; 5 unless given'),
  pauseAfterCanary: z.boolean().optional(),
  filter: Filter.optional(),
  dryRun: z.boolean().optional(),
});
export type CampaignBody = z.infer<typeof CampaignBody>;

const Target = z.object({
  tenantId: Uuid.nullable().describe('Null for app_shared, which all shared tenants of the database are in'),
  target: z.string().describe('<database>.<schema>'),
});
const CampaignPlan = z.object({
  matched: z.number().int().describe('Targets that are behind'),
  upToDate: z.number().int(),
  waves: z.array(z.object({ wave: z.number().int().describe('0 is the canary'), targets: z.number().int() })),
  byIsolation: z.record(z.string(), z.number().int()),
  byVersion: z.array(z.object({ version: z.number().int().describe('What they have; 0 for nothing'), targets: z.number().int() })),
  statements: z.array(z.string()).describe('What runs on a target that is one version behind, in order'),
  sample: z.array(Target).describe('The first targets, at most 20'),
});
export type CampaignPlan = z.infer<typeof CampaignPlan>;
export const startCampaign = route({
  ...common,
  name: 'blueprints.start-campaign',
  summary: 'Take the existing tenants to a version, whatever their isolation; `dryRun` only says what it would do',
  permission: 'blueprint:rollout',
  method: 'POST',
  path: `${base}/:name/campaigns`,
  params: ByName,
  body: CampaignBody,
  answers: { 200: CampaignPlan, 202: OperationView },
  timeoutMs: 30_000,
});

const Drift = Target.extend({
  expected: z.number().int().describe('The version that the ledger says; 0 for nothing'),
  found: z.number().int().nullable().describe('Null where what is there is not that version'),
  differences: z.array(z.string()),
});
export type Drift = z.infer<typeof Drift>;
export const getDrift = route({
  ...common,
  name: 'blueprints.drift',
  summary: 'Targets whose tables are not what their version says',
  permission: 'blueprint:read',
  method: 'GET',
  path: `${base}/:name/drift`,
  params: ByName,
  query: z.strictObject(PageQuery),
  answers: { 200: page(Drift).extend({ examined: z.number().int().describe('Targets that this page looked at') }) },
  timeoutMs: 30_000,
});

export const blueprintRoutes: Route[] = [
  listBlueprints,
  getBlueprint,
  putBlueprint,
  publishBlueprintVersion,
  getBlueprintVersion,
  startCampaign,
  getDrift,
] as Route[];
