import { z } from 'zod';
import { settingCategories } from '../config/events.js';
import { type EventOf, event, events, personal } from '../events.js';
import { PlanTerms } from '../plans.js';

/** Whose change needs further people: of these settings, of settings in these categories, by these commands. */
export const ApprovalPolicy = z.object({
  keys: z.array(z.string()).optional(),
  categories: z.array(z.enum(settingCategories)).optional(),
  commands: z.array(z.string()).optional(),
  approvers: z.number().int(),
  expiresHours: z.number(),
  /** They have to be people whom the first platform key has named. */
  named: z.boolean().optional(),
});
export type ApprovalPolicy = z.infer<typeof ApprovalPolicy>;

export const pauseCauses = ['manual', 'failures', 'canary'] as const;
export const afterCanary = ['go-on', 'pause', 'pause-if-failed'] as const;
/** Every item is in one of them; what runs counts as pending. */
export const JobCounts = z.object({
  total: z.number().int(),
  pending: z.number().int(),
  succeeded: z.number().int(),
  failed: z.number().int(),
  quarantined: z.number().int(),
  skipped: z.number().int(),
});
export type JobCounts = z.infer<typeof JobCounts>;

/** What somebody typed to say why: encrypted with a key of the platform's. Before version 2 it stood there in clear. */
const reasons = () => 'reasons';
const reason = personal(z.string());
/** Since version 2 the reason is personal; one in clear may stand in its place. */
const withReason = <S extends z.ZodRawShape>(shape: S) => ({
  version: 2,
  subject: reasons,
  data: z.object({ ...shape, reason: reason.optional() }),
  upcasters: { 1: (old: Record<string, unknown>) => old },
  earlier: { 1: z.object({ ...shape, reason: z.string().optional() }) },
});
const skippedItem = {
  parkedId: z.string(),
  kind: z.enum(['event', 'effect', 'timer']),
  service: z.string(),
  consumer: z.string(),
  tenantId: z.string(),
  position: z.number().int().nullable(),
  type: z.string(),
};

const ServerTerms = z.object({ name: z.string(), region: z.string().nullable(), capacity: z.number().int().nullable() });
const DatabaseTerms = z.object({
  server: z.string(),
  name: z.string(),
  capacity: z.number().int().nullable(),
  /** Levels of which it takes further tenants; empty: it is closed to new ones. */
  accepts: z.array(z.string()),
});

/** On the platform log. Stream `plan-<id>`: owner billing; `operation-<id>`: work over many tenants and rebuilds, `maintenance` (what is open) and `maintenance-<id>` (what was announced), `approval-policies`, `blueprint-<name>`, `server-<name>` (with its databases): owner provisioning. */
export const platformEvents = events('platform', {
  PlanPublished: event({
    version: 1,
    summary: 'A version of a plan can be subscribed to from now on',
    data: PlanTerms.extend({ planId: z.string(), planVersion: z.number().int().min(1) }),
  }),
  PlatformKeyCreated: event({
    version: 1,
    summary: 'A platform API key was created',
    subject: ({ keyId }) => `platform-key-${keyId}`,
    data: z.object({
      keyId: z.string(),
      name: z.string(),
      permissions: z.array(z.string()),
      /** Whom it was made for, where that was said. */
      owner: personal(z.string()).optional(),
      /** Whose it is: those of the same person have the same. Before there was this, it is whoever made it. */
      person: z.string().optional(),
      expiresAt: z.string().optional(),
      createdAt: z.string(),
    }),
  }),
  PlatformKeyRevoked: event({
    version: 1,
    summary: 'A platform API key stopped working',
    data: z.object({ keyId: z.string(), reason: z.string(), revokedAt: z.string() }),
  }),
  ParkedSkipped: event({
    version: 2,
    summary: 'An operator has something left out that a service could not handle',
    subject: reasons,
    data: z.object({ ...skippedItem, reason }),
    upcasters: { 1: (old) => old },
    earlier: { 1: z.object({ ...skippedItem, reason: z.string() }) },
  }),
  ApprovalPoliciesSet: event({
    version: 1,
    summary: 'Which changes need the approval of further people from now on',
    data: z.object({ items: z.array(ApprovalPolicy), before: z.array(ApprovalPolicy) }),
  }),
  ProjectionRebuildRequested: event({
    version: 1,
    summary: 'Read models are to be rebuilt from the log, of one tenant or of all',
    data: z.object({ operationId: z.string(), service: z.string(), consumer: z.string(), tenantId: z.string().nullable() }),
  }),
  ProjectionRebuildEnded: event({
    version: 1,
    summary: 'The rebuilding of read models is over',
    data: z.object({ operationId: z.string(), succeeded: z.number().int(), failed: z.number().int() }),
  }),
  MaintenanceScheduled: event({
    version: 1,
    summary: 'A maintenance window was announced: tenants in its scope are not served while it is open',
    data: z.object({
      windowId: z.string(),
      /** `some`: those that `MaintenanceTenantsNamed` names, on the same stream. */
      scope: z.enum(['all', 'some']),
      startsAt: z.string(),
      endsAt: z.string(),
      /** When the tenants are reminded; null: they are not. */
      noticeAt: z.string().nullable(),
      reason: z.string(),
      emergency: z.boolean(),
    }),
  }),
  MaintenanceTenantsNamed: event({
    version: 1,
    summary: 'Tenants are in the scope of a maintenance window',
    data: z.object({ windowId: z.string(), tenantIds: z.array(z.string()) }),
  }),
  MaintenanceStarted: event({
    version: 1,
    summary: 'A maintenance window is open',
    data: z.object({ windowId: z.string(), scope: z.enum(['all', 'some']), endsAt: z.string(), reason: z.string(), startedAt: z.string() }),
  }),
  MaintenanceEnded: event({
    summary: 'A maintenance window is over, or will not be opened',
    ...withReason({ windowId: z.string(), cause: z.enum(['over', 'manual', 'cancelled']), endedAt: z.string() }),
  }),
  JobRequested: event({
    version: 1,
    summary: 'Work over many tenants was asked for, and which tenants these are is settled',
    data: z.object({
      operationId: z.string(),
      /** Of the work: which handler does it. */
      type: z.string(),
      total: z.number().int(),
      /** Items at once. */
      concurrency: z.number().int(),
      /** So many failed items pause the job; null: it goes through all. */
      stopAfterFailures: z.number().int().nullable(),
      /** What happens when the items of wave 0 are done. */
      afterCanary: z.enum(afterCanary),
    }),
  }),
  JobPaused: event({
    summary: 'Work over many tenants begins no further item until it is resumed',
    ...withReason({ operationId: z.string(), cause: z.enum(pauseCauses), pausedAt: z.string() }),
  }),
  JobResumed: event({
    summary: 'Work over many tenants goes on',
    /** `failed`: items that had failed by then; only later ones count towards the next stop. */
    ...withReason({ operationId: z.string(), failed: z.number().int(), resumedAt: z.string() }),
  }),
  JobCancelRequested: event({
    summary: 'Work over many tenants is to end; what has not begun is left out',
    ...withReason({ operationId: z.string(), requestedAt: z.string() }),
  }),
  JobRetried: event({
    summary: 'The failed items of work over many tenants are tried again',
    ...withReason({ operationId: z.string(), retriedAt: z.string() }),
  }),
  JobEnded: event({
    version: 1,
    summary: 'Work over many tenants is over',
    data: z.object({
      operationId: z.string(),
      outcome: z.enum(['succeeded', 'failed', 'cancelled']),
      counts: JobCounts,
      endedAt: z.string(),
    }),
  }),
  BlueprintChanged: event({
    version: 1,
    summary: 'A blueprint of the operator’s product was registered or changed',
    data: z.object({ name: z.string(), supportsShared: z.boolean(), status: z.enum(['active', 'retired']), changedAt: z.string() }),
  }),
  BlueprintVersionPublished: event({
    version: 1,
    summary: 'A version of a blueprint was accepted; new tenants get it from now on',
    data: z.object({
      name: z.string(),
      blueprintVersion: z.number().int().min(1),
      sql: z.string(),
      sha256: z.string(),
      publishedAt: z.string(),
    }),
  }),
  ServerRegistered: event({
    version: 1,
    summary: 'A PostgreSQL server takes tenants from now on',
    data: ServerTerms.extend({ host: z.string(), port: z.number().int() }),
  }),
  ServerChanged: event({
    version: 1,
    summary: 'What a server takes is another from now on; with a capacity of 0 it is closed to new tenants',
    data: ServerTerms,
  }),
  DatabaseRegistered: event({
    version: 1,
    summary: 'A database that many tenants share takes tenants from now on',
    data: DatabaseTerms,
  }),
  DatabaseChanged: event({
    version: 1,
    summary:
      'What a database that many tenants share takes is another from now on; with no level that it accepts it is closed to new tenants',
    data: DatabaseTerms,
  }),
});
export type PlatformEvent = EventOf<typeof platformEvents>;
