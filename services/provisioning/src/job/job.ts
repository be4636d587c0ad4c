import { DomainError } from '@tenantry/contracts/errors';
import type { Actor, EventOf, Personal } from '@tenantry/contracts/events';
import { derivedId } from '@tenantry/contracts/ids';
import { type JobCounts, type pauseCauses, platformEvents } from '@tenantry/contracts/platform/events';
import { aggregate } from '@tenantry/event-store/aggregate';

type PlatformEvent = EventOf<typeof platformEvents>;
type Requested = Extract<PlatformEvent, { type: 'JobRequested' }>['data'];
type Ended = Extract<PlatformEvent, { type: 'JobEnded' }>['data'];
export type PauseCause = (typeof pauseCauses)[number];

/** Work over many tenants, on the stream `operation-<id>` of the platform's log. Its items are rows. */
export interface Job {
  requested: Requested | null;
  requestedAt: string | null;
  /** Who asked for it: what is done to a tenant is done in his name. */
  actor: Actor | null;
  /** How often the failed items were tried again. */
  round: number;
  paused: { cause: PauseCause; reason: Personal | null } | null;
  /** Items that had failed when it was resumed last. */
  failedBefore: number;
  /** It has paused after its first wave, once. */
  pausedAfterCanary: boolean;
  cancelled: { reason: Personal | null } | null;
  ended: Ended | null;
}

export const jobId = (commandId: string): string => derivedId('operation', 'job', commandId);

export const job = aggregate<Job, typeof platformEvents>({
  stream: 'operation',
  events: platformEvents,
  initial: {
    ...{ requested: null, requestedAt: null, actor: null, round: 0, paused: null },
    ...{ failedBefore: 0, pausedAfterCanary: false, cancelled: null, ended: null },
  },
  evolve: (state, event): Job => {
    switch (event.type) {
      case 'JobRequested':
        return { ...state, requested: event.data, requestedAt: event.recordedAt, actor: event.metadata.actor };
      case 'JobPaused': {
        const { cause, reason } = event.data;
        return { ...state, paused: { cause, reason: reason ?? null }, pausedAfterCanary: state.pausedAfterCanary || cause === 'canary' };
      }
      case 'JobResumed':
        return { ...state, paused: null, failedBefore: event.data.failed };
      case 'JobCancelRequested':
        return { ...state, cancelled: { reason: event.data.reason ?? null } };
      case 'JobRetried':
        return { ...state, round: state.round + 1, failedBefore: 0, paused: null, ended: null };
      case 'JobEnded':
        return { ...state, ended: event.data };
      default:
        return state; // other events of the platform, on streams of their own
    }
  },
});

export const request =
  (data: Requested) =>
  (state: Job): PlatformEvent[] =>
    state.requested ? [] : [{ type: 'JobRequested', data }];

export const pause =
  (cause: PauseCause, reason: string | undefined, now: string) =>
  (state: Job): PlatformEvent[] => {
    const { operationId } = known(state);
    if (state.ended || state.cancelled)
      throw new DomainError('operation.not_pausable', { detail: 'The operation is over, or about to be: nothing of it is left to pause.' });
    return state.paused ? [] : [{ type: 'JobPaused', data: { operationId, cause, reason, pausedAt: now } }];
  };

export const resume =
  (failed: number, reason: string | undefined, now: string) =>
  (state: Job): PlatformEvent[] => {
    const { operationId } = known(state);
    if (state.ended || state.cancelled)
      throw new DomainError('operation.not_resumable', {
        detail: 'The operation is over, or about to be; its failed items can be retried.',
      });
    return state.paused ? [{ type: 'JobResumed', data: { operationId, failed, reason, resumedAt: now } }] : [];
  };

export const cancel =
  (reason: string | undefined, now: string) =>
  (state: Job): PlatformEvent[] => {
    const { operationId } = known(state);
    if (state.cancelled) return [];
    if (state.ended) throw new DomainError('operation.not_cancellable', { detail: 'The operation is over.' });
    return [{ type: 'JobCancelRequested', data: { operationId, reason, requestedAt: now } }];
  };

export const retryFailed =
  (reason: string | undefined, now: string) =>
  (state: Job): PlatformEvent[] => {
    const { operationId } = known(state);
    const hasFailed = state.ended !== null && state.ended.counts.failed + state.ended.counts.quarantined > 0;
    if (state.cancelled || (!state.paused && !hasFailed))
      throw new DomainError('operation.not_retriable', {
        detail: 'Failed items are tried again when the operation is over, or while it is paused.',
      });
    return [{ type: 'JobRetried', data: { operationId, reason, retriedAt: now } }];
  };

export const end =
  (counts: JobCounts, now: string) =>
  (state: Job): PlatformEvent[] => {
    const { operationId } = known(state);
    if (state.ended) return [];
    const outcome = state.cancelled ? 'cancelled' : counts.failed > 0 ? 'failed' : 'succeeded';
    return [{ type: 'JobEnded', data: { operationId, outcome, counts, endedAt: now } }];
  };

/** Whether items are begun. */
export const goesOn = ({ requested, paused, cancelled, ended }: Job): boolean => requested !== null && !paused && !cancelled && !ended;

function known({ requested }: Job): Requested {
  if (!requested) throw new DomainError('operation.not_found');
  return requested;
}
