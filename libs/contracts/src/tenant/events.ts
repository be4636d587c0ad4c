import { z } from 'zod';
import { type EventOf, event, events, personal } from '../events.js';
import { PlanSnapshot } from '../plans.js';
import { Isolation } from '../values.js';
import { operationEvents } from './operation-events.js';

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
export const StepError = z.object({ code: z.string(), detail: z.string() });
/** What somebody may ask a tenant to do, now or at an instant. */
export const transitionCommands = ['activate', 'retry', 'suspend', 'reactivate', 'archive', 'restore', 'undelete'] as const;
/** The reseller whose credentials did it, and who may end it; what the platform did has none. */
const byReseller = z.string().optional();
/** Where a tenant may be archived from, and goes back to. */
const archivable = z.enum(['active', 'trial', 'suspended']);
/** Where a tenant may be deleted from, and goes back to when its deletion is cancelled. */
const deletable = z.enum(['pending', 'failed', 'active', 'trial', 'suspended', 'archived']);
/** Where a tenant lives, as far as others need to know it. */
const place = z.object({
  isolation: Isolation,
  region: z.string(),
  server: z.string(),
  database: z.string(),
  generation: z.number().int().min(1),
});
/** Why a tenant leaves, as one of a few words that stay after its erasure. */
export const feedbackCategories = ['price', 'missing_feature', 'quality', 'support', 'competitor', 'no_longer_needed', 'other'] as const;
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

const step = {
  operationId: z.string(),
  step: ProvisioningStep,
  attempt: z.number().int().min(1),
  startedAt: z.string(),
  durationMs: z.number().min(0),
};

/** Stream `tenant`: the tenant itself. Stream `operation-<id>`: the progress of its provisioning, or of other long work. Owner: provisioning. */
export const tenantEvents = events('tenant', {
  ...operationEvents,
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
      /** The reseller whose child it is; absent for a tenant of the platform itself. */
      parentId: z.string().optional(),
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
    version: 3,
    summary: 'The tenant may be used',
    subject: reasons,
    data: z.object({
      operationId: z.string().optional(),
      status: z.enum(['active', 'trial']),
      cause: z.enum(['provisioned', 'trial_ended', 'manual']),
      reason,
      /** The reseller, of a child: it may have been closed meanwhile. */
      parentId: z.string().optional(),
      activatedAt: z.string(),
    }),
    upcasters: {
      1: ({ reason: given, ...rest }) => ({
        ...rest,
        cause: given === 'provisioned' ? 'provisioned' : 'manual',
        ...typed(given, ['provisioned', 'manual']),
      }),
      // Since version 3 a trial may have ended by itself.
      2: (old) => old,
    },
    earlier: {
      1: z.object({
        operationId: z.string().optional(),
        status: z.enum(['active', 'trial']),
        reason: z.string(),
        activatedAt: z.string(),
      }),
      2: z.object({
        operationId: z.string().optional(),
        status: z.enum(['active', 'trial']),
        cause: z.enum(['provisioned', 'manual']),
        reason,
        activatedAt: z.string(),
      }),
    },
  }),
  TenantTrialEnded: event({
    version: 1,
    summary: 'The trial of a tenant that may not be used ended; where it would have gone back to its trial, it will be active',
    data: z.object({ endedAt: z.string() }),
  }),
  TenantSuspended: event({
    version: 1,
    summary: 'The tenant may not be used until it is reactivated',
    subject: reasons,
    data: z.object({
      cause: z.enum(suspensionCauses),
      reason,
      /** The reseller that was suspended, and this child with it. */
      parentId: z.string().optional(),
      resellerId: byReseller,
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
      /** The reseller that was reactivated, and this child with it. */
      parentId: z.string().optional(),
      before: z.object({ status: z.literal('suspended') }),
      reactivatedAt: z.string(),
    }),
  }),
  TenantArchived: event({
    version: 1,
    summary: 'The tenant is put away: its data is kept, nothing of it runs',
    subject: reasons,
    data: z.object({
      cause: z.enum(suspensionCauses),
      reason,
      resellerId: byReseller,
      before: z.object({ status: archivable }),
      archivedAt: z.string(),
    }),
  }),
  TenantRestored: event({
    version: 1,
    summary: 'The tenant is back from the archive, as it was before',
    subject: reasons,
    data: z.object({
      status: archivable,
      cause: z.enum(suspensionCauses),
      reason,
      before: z.object({ status: z.literal('archived') }),
      restoredAt: z.string(),
    }),
  }),
  TenantDeletionScheduled: event({
    version: 1,
    summary: 'The tenant may not be used any more and will be erased when its grace ends, unless that is cancelled',
    subject: reasons,
    data: z.object({
      /** The deletion as an operation: its grace, then its erasure. */
      operationId: z.string(),
      cause: z.enum(suspensionCauses),
      reason,
      graceEndsAt: z.string(),
      /** What the tenant said; the text goes with its keys. */
      feedback: z.object({ category: z.enum(feedbackCategories), text: reason }).optional(),
      /** Whether it may be asked to come back. */
      winBack: z.boolean().optional(),
      before: z.object({ status: deletable }),
      scheduledAt: z.string(),
    }),
  }),
  TenantDeletionCancelled: event({
    version: 1,
    summary: 'The tenant is not deleted after all and is again what it was before',
    subject: reasons,
    data: z.object({
      operationId: z.string(),
      status: deletable,
      /** The provisioning that goes on, of a tenant that is pending again. */
      provisioningId: z.string().optional(),
      cause: z.enum(suspensionCauses),
      reason,
      before: z.object({ status: z.literal('deleting') }),
      cancelledAt: z.string(),
    }),
  }),
  TenantErasureStarted: event({
    version: 1,
    summary: 'The grace is over and no hold stands against it: the tenant is being erased, which nothing takes back',
    data: z.object({ operationId: z.string(), startedAt: z.string() }),
  }),
  TenantErased: event({
    version: 1,
    summary: 'Nothing of the tenant is left that could be read, in any store',
    data: z.object({ operationId: z.string(), erasedAt: z.string() }),
  }),
  LegalHoldPlaced: event({
    version: 1,
    summary: 'The tenant may not be deleted or erased until the hold is released',
    subject: reasons,
    data: z.object({ reason, placedAt: z.string() }),
  }),
  LegalHoldReleased: event({
    version: 1,
    summary: 'No hold keeps the tenant from being deleted any more',
    subject: reasons,
    data: z.object({ reason, releasedAt: z.string() }),
  }),
  TransitionScheduled: event({
    version: 1,
    summary: 'The tenant is to change its state at an instant',
    subject: reasons,
    data: z.object({
      transitionId: z.string(),
      command: z.enum(transitionCommands),
      at: z.string(),
      cause: z.enum(suspensionCauses),
      reason,
      scheduledAt: z.string(),
    }),
  }),
  TransitionUnscheduled: event({
    version: 1,
    summary: 'A scheduled change of state was taken back before its time came',
    data: z.object({ transitionId: z.string(), unscheduledAt: z.string() }),
  }),
  TransitionEnded: event({
    version: 1,
    summary: 'The time of a scheduled change of state came: it was done, or was refused as the tenant was then',
    data: z.object({
      transitionId: z.string(),
      command: z.enum(transitionCommands),
      outcome: z.enum(['done', 'refused']),
      error: StepError.nullable(),
      endedAt: z.string(),
    }),
  }),
  ChildAdmitted: event({
    version: 1,
    summary: 'A tenant may be registered as a child of this one',
    data: z.object({ childId: z.string(), slug: z.string(), admittedAt: z.string() }),
  }),
  TenantMoved: event({
    version: 1,
    summary: 'The tenant lives somewhere else, or at another level of isolation',
    data: place.extend({ operationId: z.string(), before: place, movedAt: z.string() }),
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
