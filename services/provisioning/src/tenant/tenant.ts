import { DomainError } from '@tenantry/contracts/errors';
import type { EventOf, Personal } from '@tenantry/contracts/events';
import type { PlanTerms } from '@tenantry/contracts/plans';
import type { TenantStatus } from '@tenantry/contracts/tenant/bodies';
import { type ProvisioningStep, type suspensionCauses, tenantEvents } from '@tenantry/contracts/tenant/events';
import { aggregate, type Decision } from '@tenantry/event-store/aggregate';

type TenantEvent = EventOf<typeof tenantEvents>;
export type Registration = Extract<TenantEvent, { type: 'TenantRegistered' }>['data'];
type Updated = Extract<TenantEvent, { type: 'TenantUpdated' }>['data'];
type Update = Omit<Updated, 'before'>;
type Decide = Decision<Tenant, typeof tenantEvents>;
export type Usable = 'trial' | 'active';
type Cause = (typeof suspensionCauses)[number];
type DeletionScheduled = Extract<TenantEvent, { type: 'TenantDeletionScheduled' }>['data'];
export interface Deletion {
  operationId: string;
  /** What the tenant was before. */
  from: DeletionScheduled['before']['status'];
  graceEndsAt: string;
  /** Nothing takes it back any more. */
  erasing: boolean;
  /** Why it leaves, and whether it may be asked to come back. */
  feedback: DeletionScheduled['feedback'] | null;
  winBack: boolean;
}
export type ScheduledTransition = Omit<Extract<TenantEvent, { type: 'TransitionScheduled' }>['data'], 'transitionId'>;
/** Why, as its caller says. */
export interface Why {
  cause: Cause;
  reason?: string;
  /** The reseller whose credentials ask; not set where the platform does. */
  resellerId?: string;
}

export interface RegisteredTenant extends Registration {
  status: TenantStatus;
  statusCause: Cause | 'provisioned' | 'trial_ended' | null;
  statusReason: Personal | null;
  /** What a suspended tenant was before, also while it is archived or to be deleted; null where it is not suspended. */
  suspendedFrom: Usable | null;
  /** The reseller that suspended it; null where the platform did, or it is not suspended. As long as `suspendedFrom`. */
  suspendedBy: string | null;
  /** The reseller that it was suspended with; null where it was suspended for itself, or is not. */
  suspendedWith: string | null;
  /** What an archived tenant was before, also while it is to be deleted. */
  archivedFrom: Usable | 'suspended' | null;
  /** The reseller that archived it; null where the platform did, or it is not archived. As long as `archivedFrom`. */
  archivedBy: string | null;
  deletion: Deletion | null;
  legalHold: { reason: Personal | null; since: string } | null;
  /** Changes of state whose time has not come, by their ids. */
  scheduled: Record<string, ScheduledTransition>;
  /** Its trial, if it had one, is over: it never begins again. */
  trialEnded: boolean;
  /** Everything exists and was verified. */
  provisioned: boolean;
  /** The provisioning that is going on, or went on last. */
  operationId: string;
  createdAt: string;
  updatedAt: string;
  adminEmail?: Personal;
  billingEmail?: Personal;
  contactPhone?: Personal;
}
/** `none`: never registered, or the registration was abandoned, so many times. */
export type Tenant = { status: 'none'; abandoned?: number } | RegisteredTenant;

const fresh = {
  status: 'pending',
  statusCause: null,
  statusReason: null,
  provisioned: false,
  trialEnded: false,
  suspendedFrom: null,
  suspendedBy: null,
  suspendedWith: null,
  archivedFrom: null,
  archivedBy: null,
  deletion: null,
  legalHold: null,
  scheduled: {},
} as const;

export const tenant = aggregate<Tenant, typeof tenantEvents>({
  stream: 'tenant',
  events: tenantEvents,
  initial: { status: 'none' },
  evolve: (state, event): Tenant => {
    if (event.type === 'TenantRegistered') {
      const at = event.recordedAt;
      return { ...event.data, ...fresh, createdAt: at, updatedAt: at };
    }
    if (event.type === 'RegistrationAbandoned') return { status: 'none', abandoned: abandonments(state) + 1 };
    if (state.status === 'none') return state;
    const updatedAt = event.recordedAt;
    switch (event.type) {
      case 'TenantUpdated': {
        const { before: _, ...changed } = event.data;
        const now = Object.fromEntries(Object.entries(changed).map(([field, value]) => [field, value ?? undefined]));
        return { ...state, ...now, updatedAt };
      }
      case 'TenantProvisioned':
        return { ...state, provisioned: true, updatedAt };
      case 'TenantActivated':
        return {
          ...state,
          status: event.data.status,
          trialEnded: state.trialEnded || event.data.status === 'active',
          ...why(event.data),
          updatedAt,
        };
      case 'TenantSuspended':
        return {
          ...state,
          status: 'suspended',
          suspendedFrom: event.data.before.status,
          suspendedBy: event.data.resellerId ?? null,
          suspendedWith: event.data.parentId ?? null,
          ...why(event.data),
          updatedAt,
        };
      case 'TenantReactivated':
        return {
          ...state,
          ...{ status: event.data.status, suspendedFrom: null, suspendedBy: null, suspendedWith: null },
          ...why(event.data),
          updatedAt,
        };
      case 'TenantTrialEnded':
        return {
          ...state,
          trialEnded: true,
          suspendedFrom: state.suspendedFrom && 'active',
          archivedFrom: state.archivedFrom === 'trial' ? 'active' : state.archivedFrom,
          deletion: state.deletion && { ...state.deletion, from: state.deletion.from === 'trial' ? 'active' : state.deletion.from },
          updatedAt,
        };
      case 'TenantArchived':
        return {
          ...state,
          ...{ status: 'archived', archivedFrom: event.data.before.status, archivedBy: event.data.resellerId ?? null },
          ...why(event.data),
          updatedAt,
        };
      case 'TenantRestored':
        return { ...state, status: event.data.status, archivedFrom: null, archivedBy: null, ...why(event.data), updatedAt };
      case 'TenantDeletionScheduled': {
        const { operationId, before, graceEndsAt, feedback = null, winBack = false } = event.data;
        const deletion = { operationId, from: before.status, graceEndsAt, erasing: false, feedback, winBack };
        return { ...state, status: 'deleting', deletion, ...why(event.data), updatedAt };
      }
      case 'TenantDeletionCancelled':
        return { ...state, status: event.data.status, deletion: null, ...why(event.data), updatedAt };
      case 'TenantErasureStarted':
        return { ...state, deletion: state.deletion && { ...state.deletion, erasing: true }, updatedAt };
      case 'TenantErased':
        // What was still scheduled has nobody left to happen to, and nobody can read why it was.
        return { ...state, status: 'deleted', scheduled: {}, updatedAt };
      case 'LegalHoldPlaced':
        return { ...state, legalHold: { reason: event.data.reason ?? null, since: event.data.placedAt }, updatedAt };
      case 'LegalHoldReleased':
        return { ...state, legalHold: null, updatedAt };
      case 'TransitionScheduled': {
        const { transitionId, ...transition } = event.data;
        return { ...state, scheduled: { ...state.scheduled, [transitionId]: transition }, updatedAt };
      }
      case 'TransitionUnscheduled':
      case 'TransitionEnded': {
        const { [event.data.transitionId]: _, ...scheduled } = state.scheduled;
        return { ...state, scheduled, updatedAt };
      }
      case 'TenantMoved':
        return { ...state, isolation: event.data.isolation, region: event.data.region, updatedAt };
      case 'TenantPlanChanged': {
        const { plan, priority, features } = event.data;
        return { ...state, plan, priority, features, updatedAt };
      }
      case 'TenantProvisioningFailed':
        return {
          ...state,
          ...{ status: 'failed', statusCause: null, statusReason: event.data.reason.detail, provisioned: false },
          updatedAt,
        };
      case 'TenantProvisioningRetried':
        return {
          ...state,
          ...{ status: 'pending', statusCause: null, statusReason: null, trialEnded: false },
          operationId: event.data.operationId,
          updatedAt,
        };
      default:
        return state; // progress of the operation, on streams of its own
    }
  },
});

const why = ({ cause, reason }: { cause: RegisteredTenant['statusCause']; reason?: Personal }) => ({
  statusCause: cause,
  statusReason: reason ?? null,
});

/** @throws DomainError `tenant.not_found` */
export function registered(state: Tenant): RegisteredTenant {
  if (state.status === 'none') throw new DomainError('tenant.not_found');
  return state;
}

/** Whether the tenant may have children now. */
export const isReseller = (state: Tenant): boolean =>
  (state.status === 'active' || state.status === 'trial') && state.features['reselling'] === true && state.parentId === undefined;

/** A tenant that can still change. @throws DomainError `tenant.not_found`, `tenant.deleted` */
export function living(state: Tenant): RegisteredTenant & { status: Exclude<TenantStatus, 'deleted'> } {
  const { status, ...found } = registered(state);
  if (status === 'deleted') throw new DomainError('tenant.deleted');
  return { ...found, status };
}

/** How often a registration of the tenant was abandoned. */
export const abandonments = (state: Tenant): number => (state.status === 'none' ? (state.abandoned ?? 0) : 0);

/** It comes too late: its names may be others' by now. */
export class Abandoned extends DomainError {
  constructor(readonly times: number) {
    super('log.conflict', { detail: 'The registration was given up meanwhile; ask again.' });
  }
}

/** `seen`: how often it had been abandoned when what it relies on, its names above all, was taken. @throws Abandoned where it was since then */
export const register =
  (registration: Registration, seen = 0) =>
  (state: Tenant): TenantEvent[] => {
    if (state.status !== 'none') throw new DomainError('log.conflict', { detail: 'The tenant was registered already.' });
    if (abandonments(state) !== seen) throw new Abandoned(abandonments(state));
    return [{ type: 'TenantRegistered', data: registration }];
  };

/** A registration that was not finished in time gives its names back; one that came late then meets another version. */
export const abandon =
  (slug: string, now: string) =>
  (state: Tenant): TenantEvent[] =>
    state.status === 'none' ? [{ type: 'RegistrationAbandoned', data: { slug, abandonedAt: now } }] : [];

const same = (a: unknown, b: unknown) => JSON.stringify(a ?? null) === JSON.stringify(b ?? null);

/** What is not named, or is as it was, stays out of the event; what changed goes in with what it was. `known` holds the contacts in clear. */
export const update =
  (change: Update, known: Partial<Update>) =>
  (state: Tenant): TenantEvent[] => {
    const was: Record<string, unknown> = { ...living(state), ...known };
    const changed: Update = Object.fromEntries(
      Object.entries(change).filter(([field, value]) => value !== undefined && !same(value, was[field])),
    );
    const fields = Object.keys(changed);
    if (fields.length === 0) return [];
    const before: Update = Object.fromEntries(fields.flatMap((field) => (was[field] == null ? [] : [[field, was[field]]])));
    return [{ type: 'TenantUpdated', data: { ...changed, before } }];
  };

/** Several decisions as one command: each sees the state before all of them. */
export const together =
  (...decisions: Decide[]): Decide =>
  (state) =>
    decisions.flatMap((decide) => decide(state));

/**
 * Moves the tenant to another plan; on the plan that it has already it stays, on the version that it has. A running trial goes on.
 * The priority follows where it was the plan's; features of the old plan end, those of the new one begin, what was set otherwise stays.
 */
export const changePlan =
  (to: PlanTerms & { id: string; version: number }, now: string) =>
  (state: Tenant): TenantEvent[] => {
    const { plan, priority, features, provisioned, status } = living(state);
    if (plan.id === to.id) return [];
    if (!provisioned)
      throw new DomainError('tenant.not_ready', {
        detail: `A tenant that is ${status} gets another plan once it is provisioned; wait for that, then ask again.`,
      });
    const kept = Object.fromEntries(Object.entries(features).filter(([name, on]) => !on || !plan.features.includes(name)));
    const begun = Object.fromEntries(to.features.map((name) => [name, true]));
    return [
      {
        type: 'TenantPlanChanged',
        data: {
          plan: { ...to, trialDays: plan.trialDays },
          priority: priority === plan.priority ? to.priority : priority,
          features: { ...begun, ...kept },
          before: { plan, priority, features },
          changedAt: now,
        },
      },
    ];
  };

/** The tenant lives elsewhere since a moment ago. @param into another region; null: it stays in its own */
export const moved =
  (
    operationId: string,
    before: { isolation: RegisteredTenant['isolation']; server: string; database: string; generation: number },
    now: typeof before,
    at: string,
    into: string | null = null,
  ): Decide =>
  (state) => {
    const { region } = registered(state);
    const place = ({ isolation, server, database, generation }: typeof before) => ({ isolation, region, server, database, generation });
    return [{ type: 'TenantMoved', data: { operationId, ...place(now), region: into ?? region, before: place(before), movedAt: at } }];
  };

export const markProvisioned =
  (operationId: string, now: string) =>
  (state: Tenant): TenantEvent[] =>
    registered(state).provisioned ? [] : [{ type: 'TenantProvisioned', data: { operationId, provisionedAt: now } }];

export const fail =
  (operationId: string, step: ProvisioningStep, reason: { code: string; detail: string }, now: string) =>
  (state: Tenant): TenantEvent[] => {
    const current = registered(state);
    // Of one that is to be deleted it is recorded when that is cancelled.
    const isOver = current.status === 'failed' || current.status === 'deleting' || current.status === 'deleted';
    if (isOver || current.operationId !== operationId) return [];
    return [{ type: 'TenantProvisioningFailed', data: { operationId, step, reason, failedAt: now } }];
  };
