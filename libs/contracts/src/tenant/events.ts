import { z } from 'zod';
import { type EventOf, event, events, personal } from '../events.js';
import { PlanSnapshot } from '../plans.js';
import { Isolation } from '../values.js';

/** The steps of provisioning, in their order. */
export const provisioningSteps = [
  'register',
  'allocate',
  'secure',
  'isolate',
  'store',
  'domain',
  'configure',
  'settings',
  'admin',
  'verify',
  'activate',
] as const;
export const ProvisioningStep = z.enum(provisioningSteps);
export type ProvisioningStep = z.infer<typeof ProvisioningStep>;

export const DomainRequest = z.object({
  type: z.enum(['subdomain', 'custom']),
  /** Lower case, ASCII (punycode), without a trailing dot. */
  host: z.string(),
  ssl: z.boolean(),
});
export type DomainRequest = z.infer<typeof DomainRequest>;

export const InitialSetting = z.object({
  key: z.string(),
  value: z.json(),
  type: z.enum(['string', 'number', 'boolean', 'json']),
  category: z.enum(['general', 'security', 'limits', 'billing', 'notifications']),
});

const contacts = {
  adminEmail: personal(z.string()).optional(),
  billingEmail: personal(z.string()).optional(),
  contactPhone: personal(z.string()).optional(),
};
/** Null: the tenant has no such contact any more. */
const changedContacts = {
  adminEmail: personal(z.string()).nullable().optional(),
  billingEmail: personal(z.string()).nullable().optional(),
  contactPhone: personal(z.string()).nullable().optional(),
};

const changeableUpTo1 = z.object({
  name: z.string().optional(),
  timezone: z.string().optional(),
  locale: z.string().optional(),
  language: z.string().optional(),
  currency: z.string().optional(),
  theme: z.string().optional(),
  tags: z.array(z.string()).optional(),
  ...contacts,
});
const changeable = changeableUpTo1.extend(changedContacts);

/** What a plan decides of a tenant, apart from its limits. */
const planned = z.object({ plan: PlanSnapshot, priority: z.number().int(), features: z.record(z.string(), z.boolean()) });

export const suspensionCauses = ['payment', 'policy', 'manual'] as const;
/** What somebody typed to say why: personal, under a key of its own. */
const reason = personal(z.string()).optional();
const reasons = () => 'reasons';
/** Up to version 1 the one field held a word of the system or what somebody typed. */
const typed = (text: unknown, words: readonly string[]) => (words.includes(text as string) ? {} : { reason: text });
const withTypedReason =
  (words: readonly string[]) =>
  ({ reason: given, ...rest }: Record<string, unknown>) => ({
    ...rest,
    ...typed(given, words),
  });

export const StepError = z.object({ code: z.string(), detail: z.string() });
const step = {
  operationId: z.string(),
  step: ProvisioningStep,
  attempt: z.number().int().min(1),
  startedAt: z.string(),
  durationMs: z.number().min(0),
};

/** Stream `tenant`: the tenant itself. Stream `operation-<id>`: the progress of its provisioning. Owner: provisioning. */
export const tenantEvents = events('tenant', {
  TenantRegistered: event({
    version: 1,
    summary: 'A tenant was asked for; its provisioning begins',
    subject: () => 'contacts',
    data: z.object({
      operationId: z.string(),
      name: z.string(),
      slug: z.string(),
      domain: DomainRequest,
      plan: PlanSnapshot,
      priority: z.number().int(),
      isolation: Isolation,
      region: z.string(),
      activation: z.enum(['automatic', 'review']),
      timezone: z.string(),
      locale: z.string(),
      language: z.string(),
      currency: z.string(),
      theme: z.string(),
      ...contacts,
      /** Limits that override the plan's, in the resource's unit; null is unlimited. */
      limits: z.record(z.string(), z.number().int().min(0).nullable()),
      features: z.record(z.string(), z.boolean()),
      settings: z.array(InitialSetting.omit({ value: true }).extend({ value: personal(z.string()) })),
      tags: z.array(z.string()),
      registeredAt: z.string(),
    }),
  }),
  RegistrationAbandoned: event({
    version: 1,
    summary: 'A registration was not finished in time; its names are free again',
    data: z.object({ slug: z.string(), abandonedAt: z.string() }),
  }),
  TenantUpdated: event({
    version: 2,
    summary: "A tenant's name, contacts, region settings or tags changed",
    subject: () => 'contacts',
    // Since version 2 a contact may be null.
    upcasters: { 1: (old) => old },
    earlier: { 1: changeableUpTo1.extend({ before: changeableUpTo1.optional() }) },
    /** `before` has what the changed fields were; one that was empty is not named. */
    data: changeable.extend({ before: changeable.optional() }),
  }),
  TenantProvisioned: event({
    version: 1,
    summary: 'Everything that the tenant needs exists and was verified',
    data: z.object({ operationId: z.string(), provisionedAt: z.string() }),
  }),
  TenantActivated: event({
    version: 2,
    summary: 'The tenant may be used',
    subject: reasons,
    data: z.object({
      operationId: z.string().optional(),
      status: z.enum(['active', 'trial']),
      cause: z.enum(['provisioned', 'manual']),
      reason,
      activatedAt: z.string(),
    }),
    upcasters: {
      1: ({ reason: given, ...rest }) => ({
        ...rest,
        cause: given === 'provisioned' ? 'provisioned' : 'manual',
        ...typed(given, ['provisioned', 'manual']),
      }),
    },
    earlier: {
      1: z.object({
        operationId: z.string().optional(),
        status: z.enum(['active', 'trial']),
        reason: z.string(),
        activatedAt: z.string(),
      }),
    },
  }),
  TenantSuspended: event({
    version: 1,
    summary: 'The tenant may not be used until it is reactivated',
    subject: reasons,
    data: z.object({
      cause: z.enum(suspensionCauses),
      reason,
      before: z.object({ status: z.enum(['active', 'trial']) }),
      suspendedAt: z.string(),
    }),
  }),
  TenantReactivated: event({
    version: 1,
    summary: 'The tenant may be used again, as it was before its suspension',
    subject: reasons,
    data: z.object({
      status: z.enum(['active', 'trial']),
      cause: z.enum(suspensionCauses),
      reason,
      before: z.object({ status: z.literal('suspended') }),
      reactivatedAt: z.string(),
    }),
  }),
  TenantPlanChanged: event({
    version: 1,
    summary: 'The tenant has another plan; limits, subscription and settings follow',
    data: planned.extend({ before: planned, changedAt: z.string() }),
  }),
  TenantProvisioningFailed: event({
    version: 1,
    summary: 'The tenant could not be completed; what had been done was undone',
    data: z.object({ operationId: z.string(), step: ProvisioningStep, reason: StepError, failedAt: z.string() }),
  }),
  TenantProvisioningRetried: event({
    version: 2,
    summary: 'The provisioning of a failed tenant begins again',
    subject: reasons,
    data: z.object({ operationId: z.string(), reason, retriedAt: z.string() }),
    upcasters: { 1: withTypedReason(['manual']) },
    earlier: { 1: z.object({ operationId: z.string(), reason: z.string(), retriedAt: z.string() }) },
  }),
  ProvisioningStepCompleted: event({
    version: 1,
    summary: 'A step of provisioning is done, or was not needed',
    data: z.object({ ...step, skipped: z.boolean() }),
  }),
  ProvisioningStepFailed: event({
    version: 1,
    summary: 'An attempt at a step of provisioning failed',
    data: z.object({ ...step, error: StepError, retryAt: z.string().nullable() }),
  }),
  ProvisioningCancelRequested: event({
    version: 2,
    summary: 'The provisioning is to stop and be undone',
    subject: reasons,
    data: z.object({ operationId: z.string(), reason, requestedAt: z.string() }),
    upcasters: { 1: withTypedReason(['cancelled on request']) },
    earlier: { 1: z.object({ operationId: z.string(), reason: z.string(), requestedAt: z.string() }) },
  }),
  ProvisioningStepCompensated: event({
    version: 1,
    summary: 'A completed step of provisioning was undone',
    data: z.object(step),
  }),
});
export type TenantEvent = EventOf<typeof tenantEvents>;
