import { z } from 'zod';
import { SettingKey } from '../config/events.js';
import { Theme } from '../config/known-settings.js';
import { Setting } from '../config/routes.js';
import { LimitInput, LimitName } from '../quota/limits.js';
import { Currency, Email, InstantText, Isolation, Locale, Phone, Region, Slug, TimeZone, text, Uuid } from '../values.js';
import { feedbackCategories, suspensionCauses, transitionCommands } from './events.js';

const Language = Locale;
const Tag = z.string().regex(/^[\p{L}\p{N}][\p{L}\p{N}_.:-]{0,49}$/u, 'must consist of letters, digits and _ . : -');
const Key = SettingKey;

/** A host name, or a label below the platform's base domain. International names are accepted. */
const HostInput = z
  .string()
  .min(1)
  .max(253)
  .regex(/^[^\s/\\@:?#%"'<>`\u0000-\u001f]+$/u, 'must be a host name');

export const DomainInput = z.union([
  HostInput,
  z.strictObject({ type: z.enum(['subdomain', 'custom']).optional(), value: HostInput, ssl: z.boolean().optional() }),
]);

const PlanName = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/, 'must be the name of a plan');
export const PlanInput = z.union([
  PlanName,
  z.strictObject({
    id: PlanName,
    trial: z.boolean().optional(),
    duration: z.number().int().min(1).max(365).optional().describe('Length of the trial in days; 14 unless given'),
  }),
]);

const Limits = z.record(LimitName, LimitInput);
const SettingsInput = z.record(Key, z.json()).refine((value) => Object.keys(value).length <= 200, 'must not have more than 200 entries');

const regional = {
  timezone: TimeZone.optional(),
  locale: Locale.optional(),
  language: Language.optional(),
  currency: Currency.optional(),
  theme: Theme.optional(),
};
const contacts = { adminEmail: Email.optional(), billingEmail: Email.optional(), contactPhone: Phone.optional() };
export const Tags = z.array(Tag).max(50);

/** Only a name is required. The nested form (`configuration`, `resources`) is accepted beside the flat one. */
export const CreateTenantBody = z.strictObject({
  name: text(200),
  slug: Slug.optional(),
  domain: DomainInput.optional(),
  plan: PlanInput.optional(),
  priority: z.union([z.number().int().min(0).max(100), z.enum(['low', 'normal', 'high', 'critical'])]).optional(),
  ...contacts,
  region: Region.optional(),
  isolation: Isolation.optional(),
  ...regional,
  limits: Limits.optional(),
  security: SettingsInput.optional(),
  notifications: SettingsInput.optional(),
  settings: SettingsInput.optional(),
  features: z.record(Key, z.boolean()).optional(),
  tags: Tags.optional(),
  parentId: Uuid.optional().describe('The reseller that the tenant becomes a child of'),
  activation: z.enum(['automatic', 'review']).optional(),
  configuration: z.strictObject(regional).optional(),
  resources: Limits.optional(),
});
export type CreateTenantBody = z.infer<typeof CreateTenantBody>;

const removable = {
  adminEmail: Email.nullable().optional(),
  billingEmail: Email.nullable().optional(),
  contactPhone: Phone.nullable().optional(),
};
/** What is not named stays as it is; null removes a contact. A running trial goes on with another plan. */
export const UpdateTenantBody = z.strictObject({
  name: text(200).optional(),
  plan: z.union([PlanName, z.strictObject({ id: PlanName })]).optional(),
  ...removable,
  ...regional,
  tags: Tags.optional(),
});
export type UpdateTenantBody = z.infer<typeof UpdateTenantBody>;

export const tenantStatuses = ['pending', 'failed', 'trial', 'active', 'suspended', 'archived', 'deleting', 'deleted'] as const;
export const TenantStatus = z.enum(tenantStatuses);
export type TenantStatus = z.infer<typeof TenantStatus>;

/** Which tenants: in the list of them, and for what is done to many. */
export const tenantFilter = {
  status: z.union([TenantStatus, z.literal('inactive')]).optional(),
  tier: z.string().max(63).optional(),
  region: z.string().max(40).optional(),
  isolation: Isolation.optional(),
  tag: z.string().max(50).optional(),
  parentId: Uuid.optional().describe('Children of this reseller only'),
  q: text(100).optional().describe('Text in the name, slug or domain'),
};
export const TenantFilter = z.strictObject(tenantFilter);
export type TenantFilter = z.infer<typeof TenantFilter>;
/** So many fit into one event. */
export const tenantIdList = z.array(Uuid).min(1).max(5_000);

export const Tenant = z.object({
  id: Uuid,
  name: z.string(),
  slug: z.string(),
  status: TenantStatus,
  statusReason: z.string().nullable().describe('What was said when the status changed; where nothing was, its cause'),
  statusCause: z.enum(['provisioned', 'trial_ended', ...suspensionCauses]).nullable(),
  plan: z.object({ id: z.string(), version: z.number().int() }),
  priority: z.number().int(),
  isolation: Isolation,
  region: z.string(),
  domain: z.string().describe('Host name of the primary domain'),
  adminEmail: z.string().nullable(),
  billingEmail: z.string().nullable(),
  contactPhone: z.string().nullable(),
  timezone: z.string(),
  locale: z.string(),
  language: z.string(),
  currency: z.string(),
  theme: z.string(),
  tags: z.array(z.string()),
  parentId: Uuid.nullable().describe('The reseller that the tenant is a child of'),
  features: z.record(z.string(), z.boolean()),
  activation: z.enum(['automatic', 'review']),
  deletion: z
    .object({
      graceEndsAt: InstantText,
      erasing: z.boolean(),
      feedback: z
        .object({ category: z.enum(feedbackCategories), text: z.string().nullable() })
        .nullable()
        .describe('Why it leaves, as it said'),
      winBack: z.boolean().describe('It may be asked to come back'),
    })
    .nullable()
    .describe('Of a tenant that is being deleted: until when it can be undeleted'),
  legalHold: z.boolean().describe('While it is held it cannot be deleted'),
  createdAt: InstantText,
  updatedAt: InstantText,
  version: z.number().int().describe('Version of the resource: its ETag'),
  position: z.number().int().describe('Position in the tenant log up to which this is true'),
});
export type Tenant = z.infer<typeof Tenant>;

/** The tenant of a moment. What comes from other streams is there with `at` only, and only where the caller may read it. */
export const TenantAt = Tenant.extend({
  settings: z.array(Setting).optional(),
  quotas: z.array(z.object({ resource: z.string(), limit: z.number().int().nullable(), source: z.enum(['plan', 'override']) })).optional(),
  subscription: z
    .object({
      status: z.enum(['trialing', 'active', 'cancelled']),
      plan: z.object({ id: z.string(), version: z.number().int() }),
      priceMinor: z.number().int(),
      currency: z.string(),
      trialEndsAt: z.string().nullable(),
    })
    .nullable()
    .optional(),
  domains: z
    .array(
      z.object({ host: z.string(), type: z.enum(['subdomain', 'custom']), status: z.string(), primary: z.boolean(), ssl: z.boolean() }),
    )
    .optional(),
});
export type TenantAt = z.infer<typeof TenantAt>;

export const TenantConfig = z.object({
  tenantId: Uuid,
  name: z.string(),
  plan: z.object({ id: z.string(), version: z.number().int() }),
  tier: z.string().describe('The plan by its name of an operations guide: starter, professional, enterprise'),
  region: z.string(),
  isolation: Isolation,
  quotas: z.record(z.string(), z.number().int().nullable()).describe('Limit by resource, in its unit; null is unlimited'),
  security: z.record(z.string(), z.json()).describe('Settings of the category security, sensitive ones masked'),
  settings: z.record(z.string(), z.json()).describe('Settings of the other categories, sensitive ones masked'),
  features: z.record(z.string(), z.boolean()).describe('Feature flags that are on, for how many ever, or off'),
});

export const OperationRef = z.object({ id: Uuid, url: z.string() });
export const TenantAccepted = Tenant.extend({ operation: OperationRef });
/** In lists personal fields are left out: `statusReason` says the cause. */
export const TenantListItem = Tenant.omit({
  adminEmail: true,
  billingEmail: true,
  contactPhone: true,
  features: true,
  statusCause: true,
  deletion: true,
  legalHold: true,
}).extend({
  mrrMinor: z.number().int().describe('What the tenant brings a month by its plan, in minor units; 0 unless it is active'),
  mrrCurrency: z.string(),
  users: z.number().int().describe('Invited and not removed'),
  usagePercent: z.number().nullable().describe('Of the limit that the tenant has used most of; null without limits. Some seconds old'),
  lastActivityAt: InstantText.nullable().describe(
    'When the tenant’s own people or keys last changed something, or it last used something that is metered',
  ),
  health: z
    .object({ status: z.enum(['healthy', 'warning', 'critical']), score: z.number().int().min(0).max(100) })
    .describe(
      '100, less 60 where the tenant has failed, 25 where it is suspended; less 60 at a limit, 25 from 80 % of one on; less 25 where events of it are parked, and 25 where its last operation failed. Below 80 a warning, below 50 critical',
    ),
});
export type TenantListItem = z.infer<typeof TenantListItem>;

export const tenantSortColumns = [
  'createdAt',
  'updatedAt',
  'name',
  'slug',
  'status',
  'plan',
  'priority',
  'region',
  'isolation',
  'domain',
  'mrr',
  'users',
  'usage',
  'lastActivity',
  'health',
] as const;
/** `name` upwards, `-name` downwards. */
export const TenantSort = z
  .enum(tenantSortColumns.flatMap((column) => [column, `-${column}`] as const))
  .describe('Column to sort by, with - in front downwards; -createdAt unless given');

export const operationStatuses = [
  'pending',
  'running',
  'paused',
  'succeeded',
  'failed',
  'compensating',
  'compensated',
  'cancelled',
] as const;
export const OperationView = z.object({
  id: Uuid,
  type: z.string(),
  tenantId: Uuid.nullable(),
  status: z.enum(operationStatuses),
  steps: z.array(
    z.object({
      name: z.string(),
      status: z.enum(['pending', 'running', 'succeeded', 'failed', 'compensated', 'skipped']),
      attempt: z.number().int(),
      startedAt: InstantText.nullable(),
      durationMs: z.number().nullable(),
      error: z.object({ code: z.string(), detail: z.string() }).nullable(),
    }),
  ),
  error: z.object({ code: z.string(), detail: z.string() }).nullable(),
  compensation: z
    .object({
      step: z.string(),
      attempts: z.number().int(),
      error: z.object({ code: z.string(), detail: z.string() }),
      retryAt: InstantText.nullable().describe(
        'Null after the last attempt: the operation has failed half undone, and a retry goes on undoing',
      ),
    })
    .optional()
    .describe('Only where undoing a step failed: the last attempt'),
  /** Of work over many tenants. */
  counts: z
    .object({
      total: z.number().int(),
      succeeded: z.number().int(),
      failed: z.number().int(),
      pending: z.number().int(),
      quarantined: z.number().int().optional(),
      skipped: z.number().int().optional(),
    })
    .optional(),
  createdAt: InstantText,
  finishedAt: InstantText.nullable(),
});
export type OperationView = z.infer<typeof OperationView>;

export const ReasonBody = z.strictObject({ reason: text(500).optional() });
/** `cause` is manual unless given. */
export const WhyBody = ReasonBody.extend({ cause: z.enum(suspensionCauses).optional() });
export const TransitionBody = WhyBody.extend({
  at: InstantText.optional().describe('Not now, but at this instant: the answer is a scheduled transition'),
});
export const ScheduledTransition = z.object({
  id: Uuid,
  command: z.enum(transitionCommands),
  at: InstantText,
  cause: z.enum(suspensionCauses),
  reason: z.string().nullable(),
});
export type ScheduledTransition = z.infer<typeof ScheduledTransition>;

export const DeletionBody = WhyBody.extend({
  graceDays: z.number().int().min(0).max(365).optional().describe('Until the tenant is erased it can be undeleted; 30 unless given'),
  confirm: z.string().max(63).optional().describe('The slug of the tenant; needed where graceDays is 0'),
  feedback: z
    .strictObject({ category: z.enum(feedbackCategories), text: text(2_000).optional().describe('Encrypted; erased with the tenant') })
    .optional()
    .describe('Why the tenant leaves. The category stays after its erasure, as a number in the metrics'),
  winBack: z.boolean().optional().describe('Whether the tenant may be asked to come back; stays after its erasure'),
});
export const DeletionAccepted = TenantAccepted.extend({ deletion: z.object({ graceEndsAt: InstantText }) });
/** What a deletion takes with it. */
export const DeletionPreview = z.object({
  tenantId: Uuid,
  users: z.number().int(),
  domains: z.number().int(),
  subscriptions: z.number().int(),
  storageBytes: z.number().int(),
  databaseBytes: z.number().int().describe('Of tables and indexes; of a shared tenant, of its rows'),
  events: z.number().int(),
});
export const LegalHoldBody = z.strictObject({ held: z.boolean(), reason: text(500).optional() });
export const PlacementView = z.object({
  server: z.string(),
  database: z.string(),
  schema: z.string(),
  appSchema: z.string(),
  role: z.string(),
  isolation: Isolation,
  generation: z.number().int(),
  workerGroup: z.string(),
});
