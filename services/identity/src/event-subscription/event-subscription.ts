import { DomainError } from '@tenantry/contracts/errors';
import type { Context, Personal } from '@tenantry/contracts/events';
import { type IdentityEvent, identityEvents, type SubscriptionStart } from '@tenantry/contracts/identity/events';
import { aggregate } from '@tenantry/event-store/aggregate';

/** Where delivery begins. `generation` counts replays: a consumer that was made for another one is made again. */
export interface Start {
  generation: number;
  from: SubscriptionStart;
  /** By tenant or for `all`; null: with the oldest there is. */
  startsAt: Record<string, string> | null;
}

export interface Existing {
  status: 'active' | 'paused' | 'revoked';
  subscriptionId: string;
  name: Personal;
  tenants: 'all' | string[];
  contexts: 'all' | Context[];
  types: string[] | null;
  start: Start;
  /** Public key of its account on the broker. */
  account: string;
  /** Counts the credentials that were issued. Only the newest work. */
  credentials: number;
  createdAt: string;
  revokedAt: string | null;
}
/** `follows`: paused because its tenant may not be used, and for no other reason. */
export type EventSubscription = { status: 'none' } | (Existing & { follows: boolean });

/** Streams `event-subscription-<id>`: of the tenant's log, or of the platform's. Secrets are never in an event. */
export const eventSubscription = aggregate<EventSubscription, typeof identityEvents>({
  stream: 'event-subscription',
  events: identityEvents,
  initial: { status: 'none' },
  evolve: (state, event) => {
    if (event.type === 'EventSubscriptionCreated') {
      const { from, startsAt, ...data } = event.data;
      return { status: 'active', follows: false, ...data, start: { generation: 1, from, startsAt }, credentials: 1, revokedAt: null };
    }
    if (state.status === 'none') return state;
    switch (event.type) {
      case 'EventSubscriptionRotated':
        return { ...state, credentials: event.data.credentials };
      case 'EventSubscriptionPaused':
        return { ...state, status: 'paused', follows: event.data.because !== undefined };
      case 'EventSubscriptionResumed':
        return { ...state, status: 'active', follows: false };
      case 'EventSubscriptionReplayed':
        return {
          ...state,
          start: { generation: state.start.generation + 1, from: event.data.from, startsAt: event.data.startsAt },
        };
      case 'EventSubscriptionRevoked':
        return { ...state, status: 'revoked', follows: false, revokedAt: event.data.revokedAt };
      default:
        return state;
    }
  },
});

export const streamOf = (subscriptionId: string): string => `event-subscription-${subscriptionId}`;

type Created = Extract<IdentityEvent, { type: 'EventSubscriptionCreated' }>['data'];
export const create =
  (data: Created) =>
  (state: EventSubscription): IdentityEvent[] =>
    state.status === 'none' ? [{ type: 'EventSubscriptionCreated', data }] : [];

/** The subscription. @throws DomainError `event_subscription.not_found` */
export function existing(state: EventSubscription): Existing & { follows: boolean } {
  if (state.status === 'none') throw new DomainError('event_subscription.not_found');
  return state;
}

/** The subscription, where it can still change. @throws DomainError `event_subscription.not_found`, `event_subscription.revoked` */
function changeable(state: EventSubscription): Existing & { follows: boolean } {
  const found = existing(state);
  if (found.status === 'revoked')
    throw new DomainError('event_subscription.revoked', { detail: 'A revoked subscription stays revoked: create another one' });
  return found;
}

export const rotate =
  (rotatedAt: string) =>
  (state: EventSubscription): IdentityEvent[] => {
    const { subscriptionId, credentials } = changeable(state);
    return [{ type: 'EventSubscriptionRotated', data: { subscriptionId, credentials: credentials + 1, rotatedAt } }];
  };

export const pause =
  (pausedAt: string) =>
  (state: EventSubscription): IdentityEvent[] => {
    const { subscriptionId, status, follows } = changeable(state);
    return status === 'paused' && !follows ? [] : [{ type: 'EventSubscriptionPaused', data: { subscriptionId, pausedAt } }];
  };

export const resume =
  (resumedAt: string) =>
  (state: EventSubscription): IdentityEvent[] => {
    const { subscriptionId, status } = changeable(state);
    return status === 'active' ? [] : [{ type: 'EventSubscriptionResumed', data: { subscriptionId, resumedAt } }];
  };

/**
 * The tenant's own subscriptions get nothing while it may not be used, and go on where they were when it may.
 * One that somebody paused stays paused; one that somebody resumes meanwhile goes on.
 */
export const followTenant =
  (isOpen: boolean, now: string) =>
  (state: EventSubscription): IdentityEvent[] => {
    if (state.status === 'none') return [];
    const { subscriptionId, status, follows } = state;
    if (isOpen) return follows ? [{ type: 'EventSubscriptionResumed', data: { subscriptionId, resumedAt: now } }] : [];
    if (status !== 'active') return [];
    return [{ type: 'EventSubscriptionPaused', data: { subscriptionId, because: 'tenant_closed', pausedAt: now } }];
  };

export const replay =
  ({ from, startsAt }: Omit<Start, 'generation'>, replayedAt: string) =>
  (state: EventSubscription): IdentityEvent[] => {
    const { subscriptionId } = changeable(state);
    return [{ type: 'EventSubscriptionReplayed', data: { subscriptionId, from, startsAt, replayedAt } }];
  };

export const revoke =
  (reason: string, revokedAt: string) =>
  (state: EventSubscription): IdentityEvent[] => {
    const { subscriptionId, status } = existing(state);
    return status === 'revoked' ? [] : [{ type: 'EventSubscriptionRevoked', data: { subscriptionId, reason, revokedAt } }];
  };
