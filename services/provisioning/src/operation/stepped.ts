import { DomainError } from '@tenantry/contracts/errors';
import type { EventOf, Personal } from '@tenantry/contracts/events';
import type { OperationView } from '@tenantry/contracts/tenant/bodies';
import { tenantEvents } from '@tenantry/contracts/tenant/events';
import { aggregate } from '@tenantry/event-store/aggregate';
import type { Failure } from './operation.js';

type TenantEvent = EventOf<typeof tenantEvents>;
type Data<T extends TenantEvent['type']> = Extract<TenantEvent, { type: T }>['data'];
export type Facts = Data<'OperationStarted'>['input'];

export interface SteppedStep {
  name: string;
  status: 'pending' | 'succeeded' | 'failed' | 'compensated' | 'skipped';
  attempt: number;
  startedAt: string | null;
  durationMs: number | null;
  error: Failure | null;
  /** Null after a failure means that it was the last attempt. */
  retryAt: string | null;
  /** What it did, or did in part before it failed or its process died, was taken back. */
  undone: boolean;
  result: Facts | null;
}

/** Long work on one tenant, on the stream `operation-<id>`. */
export interface Stepped {
  type: string | null;
  input: Facts;
  steps: SteppedStep[];
  /** The step whose last attempt failed, and why. */
  givenUp: { step: string; reason: Failure } | null;
  /** Somebody asked for it to be undone: before it had its effect, or after. */
  revoked: { how: 'cancelled' | 'compensated'; reason: Personal | null } | null;
  /** The last failed attempt to undo a step, until that step is undone; `retryAt` null: it was the last, and an operator has to look. */
  undoing: { step: string; attempt: number; error: Failure; retryAt: string | null } | null;
  /** It only goes forward: nothing of it is undone any more. */
  committed: boolean;
  /** How often it was retried. */
  round: number;
  startedAt: string | null;
  ended: { status: Data<'OperationEnded'>['status']; error: Failure | null; at: string } | null;
}

const pendingStep = (name: string): SteppedStep => ({
  name,
  status: 'pending',
  attempt: 0,
  startedAt: null,
  durationMs: null,
  error: null,
  retryAt: null,
  undone: false,
  result: null,
});
const isStuck = ({ undoing }: Stepped) => undoing !== null && undoing.retryAt === null;
const isDone = ({ status }: SteppedStep) => status === 'succeeded' || status === 'skipped';

export const stepped = aggregate<Stepped, typeof tenantEvents>({
  stream: 'operation',
  events: tenantEvents,
  initial: {
    type: null,
    input: {},
    steps: [],
    givenUp: null,
    revoked: null,
    undoing: null,
    committed: false,
    round: 0,
    startedAt: null,
    ended: null,
  },
  evolve: (state, event): Stepped => {
    const set = (name: string, change: (step: SteppedStep) => Partial<SteppedStep>): Stepped => ({
      ...state,
      steps: state.steps.map((step) => (step.name === name ? { ...step, ...change(step) } : step)),
    });
    switch (event.type) {
      case 'OperationStarted': {
        const { type, steps, input } = event.data;
        return { ...state, type, input, steps: steps.map(pendingStep), startedAt: event.recordedAt };
      }
      case 'OperationStepCompleted': {
        const { step, attempt, startedAt, durationMs, skipped, result } = event.data;
        const status = skipped ? 'skipped' : 'succeeded';
        return set(step, () => ({ attempt, startedAt, durationMs, result, status, error: null, retryAt: null, undone: false }));
      }
      case 'OperationStepFailed': {
        const { step, attempt, startedAt, durationMs, error, retryAt } = event.data;
        const next = set(step, () => ({ attempt, startedAt, durationMs, status: 'failed', error, retryAt, undone: false }));
        return retryAt === null ? { ...next, givenUp: { step, reason: error } } : next;
      }
      case 'OperationStepCompensated':
        return {
          ...set(event.data.step, ({ status }) => ({ undone: true, status: status === 'succeeded' ? 'compensated' : status })),
          undoing: null,
        };
      case 'OperationCompensationFailed': {
        const { step, attempt, error, retryAt } = event.data;
        return { ...state, undoing: { step, attempt, error, retryAt } };
      }
      case 'OperationCommitted':
        return { ...state, committed: true };
      case 'OperationCancelRequested':
        return { ...state, revoked: { how: 'cancelled', reason: event.data.reason ?? null } };
      case 'OperationRollbackRequested':
        return { ...state, revoked: { how: 'compensated', reason: event.data.reason ?? null } };
      case 'OperationRetried': {
        // Half undone it goes on undoing.
        if (isStuck(state)) return { ...state, undoing: null, ended: null, round: event.data.round };
        // What was undone, or failed, begins again with its attempts.
        const steps = state.steps.map((step) => (isDone(step) && !step.undone ? step : pendingStep(step.name)));
        return { ...state, steps, givenUp: null, revoked: null, undoing: null, ended: null, round: event.data.round };
      }
      case 'OperationEnded':
        return { ...state, ended: { status: event.data.status, error: event.data.error, at: event.recordedAt } };
      default:
        return state;
    }
  },
});

/** The first step that is not done; null when all are. */
export const nextStep = ({ steps }: Stepped): SteppedStep | null => steps.find((step) => !isDone(step)) ?? null;

/**
 * The next step to undo: the last one that was done, failed, or was due. Of the latter two nobody knows how far they came: a process
 * that died during a step could not record it.
 */
export function nextUndo(state: Stepped): SteppedStep | null {
  const due = nextStep(state);
  return state.steps.findLast((step) => !step.undone && (step.status === 'succeeded' || step === due)) ?? null;
}

const cancellation: Failure = { code: 'operation.cancelled', detail: 'cancelled on request' };
const reversal: Failure = { code: 'operation.rolled_back', detail: 'rolled back on request' };

/** What is to happen now: the next step, a step to undo, or the end. */
export type Course =
  | { go: 'forward'; step: SteppedStep }
  | { go: 'back'; step: SteppedStep }
  | { go: 'end'; status: Data<'OperationEnded'>['status']; error: Failure | null };

export function course(state: Stepped): Course {
  if (state.committed && state.givenUp) return { go: 'end', status: 'failed', error: state.givenUp.reason };
  const undoing = !state.committed && (state.givenUp !== null || state.revoked !== null);
  if (undoing) {
    if (state.undoing && isStuck(state)) return { go: 'end', status: 'failed', error: state.undoing.error };
    const step = nextUndo(state);
    if (step) return { go: 'back', step };
    if (state.revoked) return { go: 'end', status: state.revoked.how, error: state.revoked.how === 'cancelled' ? cancellation : reversal };
    return { go: 'end', status: 'compensated', error: state.givenUp?.reason ?? null };
  }
  const step = nextStep(state);
  return step ? { go: 'forward', step } : { go: 'end', status: 'succeeded', error: null };
}

/** Whether what was to happen at `before` still is at `now`: the same step, in the same direction, of the same round. */
export function isSameCourse(before: Stepped, now: Stepped): boolean {
  const [then, next] = [course(before), course(now)];
  if (before.round !== now.round || now.ended) return false;
  if (then.go === 'end' || next.go === 'end') return then.go === next.go;
  return then.go === next.go && then.step.name === next.step.name;
}

export const start =
  (data: Data<'OperationStarted'>) =>
  (state: Stepped): TenantEvent[] =>
    state.type === null ? [{ type: 'OperationStarted', data }] : [];

const stepOf = (state: Stepped, name: string): SteppedStep => {
  const step = state.steps.find((candidate) => candidate.name === name);
  if (!step) throw new Error(`The operation has no step ${name}`);
  return step;
};

export const completeStep =
  (data: Data<'OperationStepCompleted'>) =>
  (state: Stepped): TenantEvent[] =>
    isDone(stepOf(state, data.step)) ? [] : [{ type: 'OperationStepCompleted', data }];

export const failStep =
  (data: Data<'OperationStepFailed'>) =>
  (state: Stepped): TenantEvent[] =>
    stepOf(state, data.step).attempt >= data.attempt ? [] : [{ type: 'OperationStepFailed', data }];

export const compensateStep =
  (data: Data<'OperationStepCompensated'>) =>
  (state: Stepped): TenantEvent[] =>
    stepOf(state, data.step).undone ? [] : [{ type: 'OperationStepCompensated', data }];

export const failCompensation =
  (data: Data<'OperationCompensationFailed'>) =>
  (state: Stepped): TenantEvent[] =>
    stepOf(state, data.step).undone || (state.undoing?.step === data.step && state.undoing.attempt >= data.attempt)
      ? []
      : [{ type: 'OperationCompensationFailed', data }];

/** Where somebody asked for it to be undone first, nothing happens: the caller sees that in the state. */
export const commit =
  (data: Data<'OperationCommitted'>) =>
  (state: Stepped): TenantEvent[] =>
    state.committed || state.revoked !== null || state.givenUp !== null ? [] : [{ type: 'OperationCommitted', data }];

export const end =
  (data: Data<'OperationEnded'>) =>
  (state: Stepped): TenantEvent[] =>
    state.ended ? [] : [{ type: 'OperationEnded', data }];

/** @param effectiveAfter the step after which the work has had its effect, and is rolled back instead */
export const requestCancel =
  (data: Data<'OperationCancelRequested'>, effectiveAfter: string | null) =>
  (state: Stepped): TenantEvent[] => {
    if (state.type === null)
      throw new DomainError('operation.not_cancellable', { detail: 'The work is about to begin; try again.', retryAfterSeconds: 1 });
    if (state.revoked !== null && state.ended?.status !== 'succeeded') return [];
    if (state.ended || state.committed || nextStep(state) === null)
      throw new DomainError('operation.not_cancellable', { detail: 'The work is finished, or can only be finished.' });
    if (effectiveAfter !== null && isDone(stepOf(state, effectiveAfter)))
      throw new DomainError('operation.not_cancellable', { detail: 'The work has had its effect; roll it back instead.' });
    return [{ type: 'OperationCancelRequested', data }];
  };

export const requestRollback =
  (data: Data<'OperationRollbackRequested'>, effectiveAfter: string | null) =>
  (state: Stepped): TenantEvent[] => {
    if (state.revoked?.how === 'compensated') return [];
    if (effectiveAfter === null || state.ended || state.committed)
      throw new DomainError('operation.not_reversible', { detail: 'What the work replaced is not kept any more.' });
    if (state.type === null || state.revoked !== null || state.givenUp !== null || !isDone(stepOf(state, effectiveAfter)))
      throw new DomainError('operation.not_reversible', { detail: 'The work has not had its effect yet; cancel it instead.' });
    return [{ type: 'OperationRollbackRequested', data }];
  };

export const retry =
  (data: Omit<Data<'OperationRetried'>, 'round' | 'type'>) =>
  (state: Stepped): TenantEvent[] => {
    if (state.type !== null && state.ended === null && state.round > 0) return [];
    if (state.type === null || state.ended === null || state.ended.status === 'succeeded')
      throw new DomainError('operation.not_retriable', {
        detail: `The operation ${state.ended ? 'succeeded' : 'is still at work'}; only one that failed or was undone can be retried.`,
      });
    return [{ type: 'OperationRetried', data: { ...data, type: state.type, round: state.round + 1 } }];
  };

/** How the operation looks from outside. `steps`: of the type, for one that was only asked for yet. */
export function steppedView(
  at: { id: string; tenantId: string; type: string },
  state: Stepped,
  steps: readonly string[],
  askedAt: string,
  /** Why somebody had it undone, in clear. */
  reason: string | null,
): OperationView {
  const now = course(state);
  const known = state.type === null ? steps.map(pendingStep) : state.steps;
  const started = known.some((step) => step.status !== 'pending');
  const undoing = now.go === 'back' || (now.go === 'end' && now.status !== 'succeeded' && !state.committed);
  const status = state.ended ? state.ended.status : undoing ? 'compensating' : started ? 'running' : 'pending';
  const why = state.ended?.error ?? state.givenUp?.reason ?? null;
  return {
    id: at.id,
    type: at.type,
    tenantId: at.tenantId,
    status,
    steps: known.map(({ retryAt: _, undone: __, result: ___, ...step }) => {
      const running = status === 'running' && now.go === 'forward' && now.step.name === step.name && step.status === 'pending';
      return { ...step, status: running ? ('running' as const) : step.status };
    }),
    // Why it could not be undone is not what somebody typed.
    error: why && reason !== null && !isStuck(state) ? { ...why, detail: reason } : why,
    ...(state.undoing && { compensation: compensationOf(state.undoing) }),
    createdAt: state.startedAt ?? askedAt,
    finishedAt: state.ended?.at ?? null,
  };
}

const compensationOf = ({ step, attempt, error, retryAt }: NonNullable<Stepped['undoing']>) => ({
  step,
  attempts: attempt,
  error,
  retryAt,
});
