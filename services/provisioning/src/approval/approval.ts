import { type ApprovalEvent, approvalEvents } from '@tenantry/contracts/config/approval-events';
import type { approvalStatuses } from '@tenantry/contracts/config/approval-routes';
import { DomainError } from '@tenantry/contracts/errors';
import type { Actor, Personal } from '@tenantry/contracts/events';
import type { CommandContext } from '@tenantry/contracts/route';
import { aggregate } from '@tenantry/event-store/aggregate';

export type Requested = Extract<ApprovalEvent, { type: 'ApprovalRequested' }>['data'];
/** A change that waits for further people, and what became of it. Stream `approval-<id>` of the tenant's log. */
export interface KnownApproval extends Requested {
  status: (typeof approvalStatuses)[number];
  requestedBy: Actor;
  approvedBy: Actor[];
  /** Whose credentials have approved. */
  people: string[];
  rejectedBy: Actor | null;
  /** Of the last decision. */
  reason: Personal | null;
  error: { code: string; detail: string } | null;
}
export type Approval = { status: 'none' } | KnownApproval;

export const approval = aggregate<Approval, typeof approvalEvents>({
  stream: 'approval',
  events: approvalEvents,
  initial: { status: 'none' },
  evolve: (state, event): Approval => {
    if (event.type === 'ApprovalRequested') {
      const undecided = { approvedBy: [], people: [], rejectedBy: null, reason: null, error: null };
      return { ...event.data, ...undecided, status: 'pending', requestedBy: event.metadata.actor };
    }
    if (state.status === 'none') return state;
    switch (event.type) {
      case 'ApprovalGiven': {
        const { approvedBy, people = approvedBy.map(({ id }) => id), granted, reason = null } = event.data;
        return { ...state, status: granted ? 'approved' : 'pending', approvedBy, people, reason };
      }
      case 'ApprovalRejected':
        return { ...state, status: 'rejected', rejectedBy: event.metadata.actor, reason: event.data.reason ?? null };
      case 'ApprovalExpired':
        return { ...state, status: 'expired' };
      case 'ApprovalApplied':
        return { ...state, status: 'applied' };
      case 'ApprovalFailed':
        return { ...state, status: 'failed', error: event.data.error };
      default:
        event satisfies never;
        return state;
    }
  },
});

export function known(state: Approval): KnownApproval {
  if (state.status === 'none') throw new DomainError('approval.not_found');
  return state;
}

export const request =
  (data: Requested) =>
  (state: Approval): ApprovalEvent[] =>
    state.status === 'none' ? [{ type: 'ApprovalRequested', data }] : [];

/** Who decides: by his credentials, and as whom they are. */
export interface Decider {
  actor: Actor;
  person: string;
}
/** As the log records who does it. Where nobody knows whose they are, credentials are a person. */
export const deciderOf = ({ kind, id, person = id }: CommandContext['principal']): Decider => ({
  actor: kind === 'anonymous' ? { kind: 'system', id: 'anonymous' } : { kind, id },
  person,
});
const isSame = (a: Actor, b: Actor): boolean => a.kind === b.kind && a.id === b.id;
const isNamed = (person: string): boolean => person.startsWith('owner-');

/** @throws DomainError `approval.same_person` for who asked, `approval.not_named`, `approval.not_pending` where it is decided, or too late */
export const give =
  (by: Decider, reason: string | undefined, now: string) =>
  (state: Approval): ApprovalEvent[] => {
    const asked = known(state);
    const { approvalId, approvers } = asked;
    // With a second key he approves no second time.
    if (asked.people.includes(by.person) || asked.approvedBy.some((one) => isSame(one, by.actor))) return [];
    refuse(asked, by, now);
    if (asked.named && !isNamed(by.person))
      throw new DomainError('approval.not_named', {
        detail: 'The policy has named people approve: the first platform key makes them a key with `owner`.',
      });
    const [approvedBy, people] = [
      [...asked.approvedBy, by.actor],
      [...asked.people, by.person],
    ];
    return [{ type: 'ApprovalGiven', data: { approvalId, approvedBy, people, granted: people.length >= approvers, reason, givenAt: now } }];
  };

/** @throws DomainError as `give`; named people need not be */
export const rejectBy =
  (by: Decider, reason: string | undefined, now: string) =>
  (state: Approval): ApprovalEvent[] => {
    const { approvalId, rejectedBy } = known(state);
    if (rejectedBy && isSame(rejectedBy, by.actor)) return [];
    refuse(known(state), by, now);
    return [{ type: 'ApprovalRejected', data: { approvalId, reason, rejectedAt: now } }];
  };

function refuse({ status, requestedBy, person = requestedBy.id, expiresAt }: KnownApproval, by: Decider, now: string): void {
  if (isSame(requestedBy, by.actor) || person === by.person)
    throw new DomainError('approval.same_person', {
      detail: 'Whoever asked for a change cannot decide on it, with whichever of his keys, and those made with them.',
    });
  if (status !== 'pending') throw new DomainError('approval.not_pending', { detail: `It is ${status}.` });
  if (Date.parse(expiresAt) <= Date.parse(now))
    throw new DomainError('approval.not_pending', { detail: `It expired at ${expiresAt}; ask for the change again.` });
}

export const expire =
  (now: string) =>
  (state: Approval): ApprovalEvent[] =>
    state.status === 'pending' && Date.parse(state.expiresAt) <= Date.parse(now)
      ? [{ type: 'ApprovalExpired', data: { approvalId: state.approvalId, expiredAt: now } }]
      : [];

export const markApplied =
  (now: string) =>
  (state: Approval): ApprovalEvent[] =>
    state.status === 'approved' ? [{ type: 'ApprovalApplied', data: { approvalId: state.approvalId, appliedAt: now } }] : [];

export const markFailed =
  (error: { code: string; detail: string }, now: string) =>
  (state: Approval): ApprovalEvent[] =>
    state.status === 'approved' ? [{ type: 'ApprovalFailed', data: { approvalId: state.approvalId, error, failedAt: now } }] : [];
