import type { StoredEvent } from '@tenantry/contracts/events';
import { provisioningSteps } from '@tenantry/contracts/tenant/events';
import { fold } from '@tenantry/event-store/aggregate';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  compensateStep,
  completeStep,
  failStep,
  givenUp,
  nextStep,
  nextUndo,
  type Operation,
  operation,
  operationView,
  requestCancel,
} from './operation.js';

const NOW = '2026-01-01T00:00:00.000Z';
const common = { operationId: 'op', attempt: 1, startedAt: NOW, durationMs: 1 };
const apply = (state: Operation, events: { type: string; data: unknown }[]) =>
  fold(operation, events.map((event) => ({ ...event, recordedAt: NOW }) as StoredEvent) as never, state);
const error = { code: 'internal.error', detail: 'broken' };

describe('the progress of a provisioning', () => {
  it('goes through the steps in their order', () => {
    let state = operation.initial;
    const seen: string[] = [];
    for (let step = nextStep(state); step; step = nextStep(state)) {
      seen.push(step);
      state = apply(state, completeStep({ ...common, step, skipped: step === 'admin' })(state));
    }
    expect(seen).toEqual(provisioningSteps);
    expect(operationView('op', 't', state, { createdAt: NOW, finishedAt: NOW, failedAt: null }, null).status).toBe('succeeded');
  });
  it('stays at a step that failed and may be tried again', () => {
    const state = apply(operation.initial, failStep({ ...common, step: 'register', error, retryAt: NOW })(operation.initial));
    expect(nextStep(state)).toBe('register');
    expect(givenUp(state)).toBeNull();
  });
  it('a step is completed once', () => {
    const state = apply(operation.initial, completeStep({ ...common, step: 'register', skipped: false })(operation.initial));
    expect(completeStep({ ...common, step: 'register', skipped: false })(state)).toEqual([]);
  });
  it('after the last attempt everything that was done is undone, in reverse', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: provisioningSteps.length - 1 }), (failsAt) => {
        let state = operation.initial;
        for (const step of provisioningSteps.slice(0, failsAt))
          state = apply(state, completeStep({ ...common, step, skipped: false })(state));
        const broken = provisioningSteps[failsAt] as (typeof provisioningSteps)[number];
        state = apply(state, failStep({ ...common, step: broken, error, retryAt: null })(state));
        expect(givenUp(state)).toEqual({ step: broken, reason: error });
        const undone: string[] = [];
        for (let step = nextUndo(state); step; step = nextUndo(state)) {
          undone.push(step);
          state = apply(state, compensateStep({ ...common, step })(state));
        }
        expect(undone).toEqual(provisioningSteps.slice(0, failsAt + 1).reverse());
        expect(operationView('op', 't', state, { createdAt: NOW, finishedAt: null, failedAt: NOW }, null)).toMatchObject({
          status: 'compensated',
          error,
        });
      }),
    );
  });
  it('can be cancelled until it is about to be done', () => {
    const state = apply(operation.initial, requestCancel('op', 'wrong name', NOW)(operation.initial));
    expect(givenUp(state)).toMatchObject({ step: 'register', reason: { code: 'operation.cancelled', detail: 'cancelled on request' } });
    const view = operationView('op', 't', state, { createdAt: NOW, finishedAt: null, failedAt: null }, 'wrong name');
    expect(view).toMatchObject({ status: 'compensating', error: { code: 'operation.cancelled', detail: 'wrong name' } });
    const done = provisioningSteps
      .slice(0, -1)
      .reduce((now, step) => apply(now, completeStep({ ...common, step, skipped: false })(now)), operation.initial);
    expect(() => requestCancel('op', 'late', NOW)(done)).toThrow(/finished/);
  });
});
