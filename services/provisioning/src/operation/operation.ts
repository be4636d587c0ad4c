import { DomainError } from '@tenantry/contracts/errors';
import type { EventOf, Personal } from '@tenantry/contracts/events';
import { derivedId } from '@tenantry/contracts/ids';
import type { OperationView } from '@tenantry/contracts/tenant/bodies';
import { type ProvisioningStep, provisioningSteps, tenantEvents } from '@tenantry/contracts/tenant/events';
import { aggregate } from '@tenantry/event-store/aggregate';

type TenantEvent = EventOf<typeof tenantEvents>;
type Progress = Extract<TenantEvent, { type: 'ProvisioningStepCompleted' }>['data'];
export interface Failure {
  code: string;
  detail: string;
}

export interface StepState {
  status: 'pending' | 'succeeded' | 'failed' | 'compensated' | 'skipped';
  attempt: number;
  startedAt: string | null;
  durationMs: number | null;
  error: Failure | null;
  /** Null after a failure means that it was the last attempt. */
  retryAt: string | null;
  /** What it did, or did in part before it failed, was taken back. */
  undone: boolean;
}

/** The progress of one provisioning, on the stream `operation-<id>`. */
export interface Operation {
  steps: Record<ProvisioningStep, StepState>;
  /** Why it is being undone, once it is. */
  givenUp: { step: ProvisioningStep; reason: Failure } | null;
  cancelled: { reason: Personal | null } | null;
}

const pending: StepState = { status: 'pending', attempt: 0, startedAt: null, durationMs: null, error: null, retryAt: null, undone: false };
const initial: Operation = {
  steps: Object.fromEntries(provisioningSteps.map((step) => [step, pending])) as Operation['steps'],
  givenUp: null,
  cancelled: null,
};

/** A retry is an operation of its own. `round` counts the retries, 0 for the first. */
export const operationId = (tenantId: string, round: number): string => derivedId('operation', tenantId, 'provisioning', round);

export const operation = aggregate<Operation, typeof tenantEvents>({
  stream: 'operation',
  events: tenantEvents,
  initial,
  evolve: (state, event): Operation => {
    const set = (change: Partial<StepState> & { step: ProvisioningStep }): Operation => {
      const { step, ...rest } = change;
      return { ...state, steps: { ...state.steps, [step]: { ...state.steps[step], ...rest } } };
    };
    switch (event.type) {
      case 'ProvisioningStepCompleted': {
        const { step, attempt, startedAt, durationMs, skipped } = event.data;
        return set({ step, attempt, startedAt, durationMs, status: skipped ? 'skipped' : 'succeeded', error: null, retryAt: null });
      }
      case 'ProvisioningStepFailed': {
        const { step, attempt, startedAt, durationMs, error, retryAt } = event.data;
        const next = set({ step, attempt, startedAt, durationMs, status: 'failed', error, retryAt });
        return retryAt === null ? { ...next, givenUp: { step, reason: error } } : next;
      }
      case 'ProvisioningStepCompensated': {
        const { step } = event.data;
        return set({ step, undone: true, status: state.steps[step].status === 'failed' ? 'failed' : 'compensated' });
      }
      case 'ProvisioningCancelRequested':
        return { ...state, cancelled: { reason: event.data.reason ?? null } };
      default:
        return state;
    }
  },
});

/** The first step that is not done; null when all are. */
export const nextStep = (state: Operation): ProvisioningStep | null =>
  provisioningSteps.find((step) => !['succeeded', 'skipped'].includes(state.steps[step].status)) ?? null;

/** The next step to undo: the last one that was done, or failed (it may have been done in part); null when none is left. */
export const nextUndo = (state: Operation): ProvisioningStep | null =>
  provisioningSteps.findLast((step) => ['succeeded', 'failed'].includes(state.steps[step].status) && !state.steps[step].undone) ?? null;

/** Why the operation is to be undone, if it is. A cancellation counts until activation. */
export function givenUp(state: Operation): { step: ProvisioningStep; reason: Failure } | null {
  if (state.givenUp) return state.givenUp;
  if (state.cancelled === null || provisioningSteps.every((step) => ['succeeded', 'skipped'].includes(state.steps[step].status)))
    return null;
  // Not what somebody typed: this goes on into events that say it in clear.
  return { step: nextStep(state) ?? 'activate', reason: cancellation(null) };
}

export const cancellation = (reason: string | null): Failure => ({ code: 'operation.cancelled', detail: reason ?? 'cancelled on request' });

export const completeStep =
  (progress: Progress) =>
  (state: Operation): TenantEvent[] =>
    ['succeeded', 'skipped'].includes(state.steps[progress.step].status) ? [] : [{ type: 'ProvisioningStepCompleted', data: progress }];

export const failStep =
  (failure: Omit<Progress, 'skipped'> & { error: Failure; retryAt: string | null }) =>
  (state: Operation): TenantEvent[] =>
    state.steps[failure.step].attempt >= failure.attempt ? [] : [{ type: 'ProvisioningStepFailed', data: failure }];

export const compensateStep =
  (progress: Omit<Progress, 'skipped'>) =>
  (state: Operation): TenantEvent[] =>
    state.steps[progress.step].undone ? [] : [{ type: 'ProvisioningStepCompensated', data: progress }];

export const requestCancel =
  (id: string, reason: string | undefined, now: string) =>
  (state: Operation): TenantEvent[] => {
    if (state.cancelled !== null) return [];
    if (state.givenUp || nextStep(state) === null || nextStep(state) === 'activate')
      throw new DomainError('operation.not_cancellable', { detail: 'The provisioning is finished, or about to be.' });
    return [{ type: 'ProvisioningCancelRequested', data: { operationId: id, reason, requestedAt: now } }];
  };

/** How the operation looks from outside. `cancelReason`: why somebody cancelled it, in clear. */
export function operationView(
  id: string,
  tenantId: string,
  state: Operation,
  times: { createdAt: string; finishedAt: string | null; failedAt: string | null },
  cancelReason: string | null,
): OperationView {
  const undoing = state.givenUp !== null || state.cancelled !== null;
  const next = nextStep(state);
  const started = provisioningSteps.some((step) => state.steps[step].status !== 'pending');
  const status = times.failedAt
    ? state.cancelled !== null
      ? 'cancelled'
      : 'compensated'
    : undoing
      ? 'compensating'
      : next === null
        ? 'succeeded'
        : started
          ? 'running'
          : 'pending';
  return {
    id,
    type: 'provisioning',
    tenantId,
    status,
    steps: provisioningSteps.map((name) => {
      const { retryAt: _, undone: __, ...step } = state.steps[name];
      const running = status === 'running' && name === next && step.status === 'pending';
      return { name, ...step, status: running ? ('running' as const) : step.status };
    }),
    error: state.givenUp?.reason ?? (state.cancelled === null ? null : cancellation(cancelReason)),
    createdAt: times.createdAt,
    finishedAt: times.failedAt ?? times.finishedAt,
  };
}
