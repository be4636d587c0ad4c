import { DomainError } from '@tenantry/contracts/errors';
import type { EventOf } from '@tenantry/contracts/events';
import type { TenantStatus } from '@tenantry/contracts/tenant/bodies';
import type { tenantEvents } from '@tenantry/contracts/tenant/events';
import { living, type Tenant, type Usable, type Why } from './tenant.js';

type TenantEvent = EventOf<typeof tenantEvents>;
/** A suspension that goes with that of the tenant's reseller. */
type WithParent = Why & { parentId?: string };

export const notAllowed = (status: TenantStatus, what: string) =>
  new DomainError('tenant.transition_not_allowed', { detail: `A tenant that is ${status} cannot be ${what}.` });

/** By the saga (`operationId`) or by a person after the review. */
export const activate =
  (given: { operationId?: string; cause: 'provisioned' | 'manual'; reason?: string }, now: string) =>
  (state: Tenant): TenantEvent[] => {
    const { status, provisioned, plan, trialEnded, parentId } = living(state);
    if (status === 'active') return [];
    if (status === 'trial' && given.operationId) return [];
    if (status === 'pending' && !provisioned)
      throw new DomainError('tenant.not_ready', {
        detail: 'The tenant is still being provisioned; wait for its operation to reach activate.',
      });
    if (status !== 'pending' && status !== 'trial')
      throw notAllowed(status, `activated${status === 'suspended' ? '; reactivate it' : status === 'archived' ? '; restore it' : ''}`);
    const begins = status === 'pending' && plan.trialDays > 0 && !trialEnded;
    return [{ type: 'TenantActivated', data: { ...given, parentId, status: begins ? 'trial' : 'active', activatedAt: now } }];
  };

/** The subscription's trial is over: the tenant is active, or will be when it may be used again. */
export const endTrial =
  (endedAt: string) =>
  (state: Tenant): TenantEvent[] => {
    if (state.status === 'none' || state.status === 'deleted' || state.trialEnded) return [];
    if (state.status === 'trial')
      return [{ type: 'TenantActivated', data: { status: 'active', cause: 'trial_ended', activatedAt: endedAt } }];
    return [{ type: 'TenantTrialEnded', data: { endedAt } }];
  };

export const suspend =
  ({ cause, reason, parentId, resellerId }: WithParent, now: string) =>
  (state: Tenant): TenantEvent[] => {
    const { status, suspendedFrom, suspendedWith, suspendedBy } = living(state);
    // Who was suspended with its reseller would come back with it, and whom its reseller suspended by that one: from now on it is this suspension.
    const takesOver = parentId === undefined && (suspendedWith !== null || (suspendedBy !== null && resellerId === undefined));
    if (status === 'suspended' && takesOver && suspendedFrom !== null)
      return [{ type: 'TenantSuspended', data: { cause, reason, resellerId, before: { status: suspendedFrom }, suspendedAt: now } }];
    if (status === 'suspended') return [];
    if (status !== 'trial' && status !== 'active') throw notAllowed(status, 'suspended; only one that is active or on trial can');
    return [{ type: 'TenantSuspended', data: { cause, reason, parentId, resellerId, before: { status }, suspendedAt: now } }];
  };

/** Back to what it was. */
export const reactivate =
  ({ cause, reason, parentId }: WithParent, now: string) =>
  (state: Tenant): TenantEvent[] => {
    const { status, suspendedFrom } = living(state);
    if (status === 'trial' || status === 'active') return [];
    if (status !== 'suspended' || suspendedFrom === null) throw notAllowed(status, 'reactivated; only a suspended one can');
    const data = { status: suspendedFrom, cause, reason, parentId, before: { status: 'suspended' as const }, reactivatedAt: now };
    return [{ type: 'TenantReactivated', data }];
  };

/** Nothing of an archived tenant runs: what was scheduled for it is taken back, but for its return. */
export const archive =
  ({ cause, reason, resellerId }: Why, now: string) =>
  (state: Tenant): TenantEvent[] => {
    const { status, scheduled, archivedFrom, archivedBy } = living(state);
    // Whom its reseller archived, that one would restore.
    if (status === 'archived' && archivedBy !== null && archivedFrom !== null && resellerId === undefined)
      return [{ type: 'TenantArchived', data: { cause, reason, before: { status: archivedFrom }, archivedAt: now } }];
    if (status === 'archived') return [];
    if (status !== 'trial' && status !== 'active' && status !== 'suspended')
      throw notAllowed(status, 'archived; only one that is active, on trial or suspended can');
    const ended = Object.entries(scheduled).filter(([, { command }]) => command !== 'restore');
    return [
      { type: 'TenantArchived', data: { cause, reason, resellerId, before: { status }, archivedAt: now } },
      ...ended.map(([transitionId]) => ({ type: 'TransitionUnscheduled' as const, data: { transitionId, unscheduledAt: now } })),
    ];
  };

/** Back to what it was before it was archived. */
export const restore =
  ({ cause, reason }: Why, now: string) =>
  (state: Tenant): TenantEvent[] => {
    const { status, archivedFrom } = living(state);
    if (status === 'trial' || status === 'active' || status === 'suspended') return [];
    if (status !== 'archived' || archivedFrom === null) throw notAllowed(status, 'restored; only an archived one can');
    return [{ type: 'TenantRestored', data: { status: archivedFrom, cause, reason, before: { status: 'archived' }, restoredAt: now } }];
  };

/** `operationId`: of the provisioning that begins. */
export const retry =
  (operationId: string, reason: string | undefined, now: string) =>
  (state: Tenant): TenantEvent[] => {
    const { status } = living(state);
    if (status !== 'failed')
      throw new DomainError('tenant.transition_not_allowed', { detail: `Only a failed tenant can be retried; this one is ${status}.` });
    return [{ type: 'TenantProvisioningRetried', data: { operationId, reason, retriedAt: now } }];
  };

export type Wanted = Usable | 'suspended' | 'archived';
/** Those whose decision needs nothing but why and when. */
export type Transition = 'activate' | 'suspend' | 'reactivate' | 'archive' | 'restore';

/** What brings the tenant, as it is, to a status; back to a trial only where it was one. @throws DomainError where nothing does */
export function transitionTo(wanted: Wanted, state: Tenant): Transition {
  const { status, suspendedFrom, archivedFrom } = living(state);
  const leadsBack = (from: Usable | 'suspended' | null) => from === wanted || (from === 'trial' && wanted === 'active');
  if (wanted === 'archived') return 'archive';
  if (status === 'archived' && leadsBack(archivedFrom)) return 'restore';
  if (status === 'archived') throw notAllowed(status, `brought to ${wanted}; restore it first: it was ${archivedFrom}`);
  if (wanted === 'suspended') return 'suspend';
  if (status === 'suspended' && leadsBack(suspendedFrom)) return 'reactivate';
  if (wanted === 'active') return 'activate';
  throw notAllowed(status, 'brought to a trial; only one that was on trial before its suspension or archiving can');
}

export const transitions = {
  activate: ({ reason }: Why, now: string) => activate({ cause: 'manual', reason }, now),
  suspend,
  reactivate,
  archive,
  restore,
} as const satisfies Record<Transition, (why: Why, now: string) => (state: Tenant) => TenantEvent[]>;

/** A tenant that is there already stays as it is. */
export const toStatus =
  (wanted: Wanted, why: Why, now: string) =>
  (state: Tenant): TenantEvent[] =>
    living(state).status === wanted && (wanted === 'active' || wanted === 'trial')
      ? []
      : transitions[transitionTo(wanted, state)](why, now)(state);

/** As `toStatus`, by a tenant's reseller. @throws DomainError `auth.forbidden`: what the platform closed, only the platform opens */
export const asReseller =
  (resellerId: string, wanted: Wanted, why: Why, now: string) =>
  (state: Tenant): TenantEvent[] => {
    refuseStopOfOthers(resellerId, wanted, state);
    return toStatus(wanted, { ...why, resellerId }, now)(state);
  };

/** What brings a tenant to a stop brings it there; every other command ends the one that it is at. */
const leadsTo = { suspend: 'suspended', archive: 'archived' } as const;

/** A command of a tenant's reseller that others have approved since: on the tenant as it is by now. @throws DomainError as `asReseller` */
export const asItsReseller =
  (resellerId: string, command: string, decide: (state: Tenant) => TenantEvent[]) =>
  (state: Tenant): TenantEvent[] => {
    refuseStopOfOthers(resellerId, Object.hasOwn(leadsTo, command) ? leadsTo[command as keyof typeof leadsTo] : null, state);
    return decide(state);
  };

function refuseStopOfOthers(resellerId: string, wanted: Wanted | null, state: Tenant): void {
  const { status, suspendedBy, suspendedWith, archivedBy } = living(state);
  const stopped = status === 'suspended' || status === 'archived';
  const stoppedBy = status === 'archived' ? archivedBy : (suspendedBy ?? suspendedWith);
  if (stopped && status !== wanted && stoppedBy !== resellerId)
    throw new DomainError('auth.forbidden', { detail: `The platform has ${status} the tenant: only the platform can end that.` });
}
