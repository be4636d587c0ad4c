import type { StoredEvent } from '@tenantry/contracts/events';
import { fold } from '@tenantry/event-store/aggregate';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  commit,
  compensateStep,
  completeStep,
  course,
  end,
  failCompensation,
  failStep,
  isSameCourse,
  requestCancel,
  requestRollback,
  retry,
  type Stepped,
  start,
  stepped,
  steppedView,
} from './stepped.js';

const NOW = '2026-01-01T00:00:00.000Z';
const steps = ['prepare', 'copy', 'switch', 'retire'];
const common = { operationId: 'op', attempt: 1, startedAt: NOW, durationMs: 1 };
const error = { code: 'internal.error', detail: 'broken' };
const asked = { operationId: 'op', requestedAt: NOW };
type Decide = (state: Stepped) => { type: string; data: unknown }[];
const after = (state: Stepped, ...decisions: Decide[]) =>
  decisions.reduce(
    (now, decide) => fold(stepped, decide(now).map((event) => ({ ...event, recordedAt: NOW }) as StoredEvent) as never, now),
    state,
  );
const begun = after(stepped.initial, start({ operationId: 'op', type: 'move', steps, input: { to: 'x' }, startedAt: NOW }));
const done = (step: string): Decide => completeStep({ ...common, step, skipped: false, result: null });
const failed = (step: string, retryAt: string | null): Decide => failStep({ ...common, step, error, retryAt });
const undone = (step: string): Decide => compensateStep({ ...common, step });
const notUndone = (step: string, attempt: number, retryAt: string | null): Decide =>
  failCompensation({ ...common, attempt, step, error: { code: 'service.unavailable', detail: 'away' }, retryAt });
const ended = (state: Stepped): Stepped => {
  const now = course(state);
  if (now.go !== 'end') throw new Error(`not at its end: ${now.go}`);
  return after(state, end({ operationId: 'op', type: 'move', status: now.status, error: now.error, endedAt: NOW }));
};
const view = (state: Stepped) => steppedView({ id: 'op', tenantId: 't', type: 'move' }, state, steps, NOW, null);
const cancel = requestCancel(asked, 'switch');
const rollBack = requestRollback(asked, 'switch');

describe('a stepped operation', () => {
  it('goes through its steps in their order and succeeds', () => {
    let state = begun;
    const seen: string[] = [];
    for (let now = course(state); now.go === 'forward'; now = course(state)) {
      seen.push(now.step.name);
      state = after(state, done(now.step.name));
    }
    expect(seen).toEqual(steps);
    expect(view(ended(state))).toMatchObject({ status: 'succeeded', error: null, finishedAt: NOW });
  });

  it('stays at a step that failed and may be tried again', () => {
    expect(course(after(begun, done('prepare'), failed('copy', NOW)))).toMatchObject({ go: 'forward', step: { name: 'copy', attempt: 1 } });
  });

  it('undoes what was done, the failed step first, when a step fails for good', () => {
    let state = after(begun, done('prepare'), failed('copy', null));
    const seen: string[] = [];
    for (let now = course(state); now.go === 'back'; now = course(state)) {
      seen.push(now.step.name);
      state = after(state, undone(now.step.name));
    }
    expect(seen).toEqual(['copy', 'prepare']);
    expect(view(ended(state))).toMatchObject({ status: 'compensated', error });
  });

  it('undoes the step that was due when it was cancelled: who died during it could not say so', () => {
    let state = after(begun, done('prepare'), done('copy'), cancel);
    const seen: string[] = [];
    for (let now = course(state); now.go === 'back'; now = course(state)) {
      seen.push(now.step.name);
      state = after(state, undone(now.step.name));
    }
    expect(seen).toEqual(['switch', 'copy', 'prepare']);
    expect(view(ended(state))).toMatchObject({ status: 'cancelled', steps: [{}, {}, { status: 'pending' }, { status: 'pending' }] });
    expect(course(after(ended(state), retry({ operationId: 'op', retriedAt: NOW })))).toMatchObject({ step: { name: 'prepare' } });
  });

  it('stays failed behind the point of no return, and goes on from there when it is retried', () => {
    const state = ended(
      after(
        begun,
        ...['prepare', 'copy', 'switch'].map(done),
        commit({ operationId: 'op', step: 'retire', committedAt: NOW }),
        failed('retire', null),
      ),
    );
    expect(view(state).status).toBe('failed');
    const again = after(state, retry({ operationId: 'op', retriedAt: NOW }));
    expect(course(again)).toMatchObject({ go: 'forward', step: { name: 'retire', attempt: 0 } });
    expect(view(again).status).toBe('running');
  });

  it('begins again from its first step when it was undone', () => {
    const state = ended(after(begun, done('prepare'), failed('copy', null), undone('copy'), undone('prepare')));
    expect(course(after(state, retry({ operationId: 'op', retriedAt: NOW })))).toMatchObject({ go: 'forward', step: { name: 'prepare' } });
  });

  it('is cancelled before its effect, rolled back after it, and neither behind the point of no return', () => {
    const early = after(begun, done('prepare'));
    expect(() => rollBack(early)).toThrow('cancel it instead');
    expect(view(ended(after(early, cancel, undone('copy'), undone('prepare'))))).toMatchObject({ status: 'cancelled' });
    const effective = after(early, done('copy'), done('switch'));
    expect(() => cancel(effective)).toThrow('roll it back instead');
    const goingBack = after(effective, rollBack, undone('retire'));
    expect(course(goingBack)).toMatchObject({ go: 'back', step: { name: 'switch' } });
    expect(view(goingBack).steps.map(({ status }) => status)).toEqual(['succeeded', 'succeeded', 'succeeded', 'pending']);
    const committed = after(effective, commit({ operationId: 'op', step: 'retire', committedAt: NOW }));
    expect(() => rollBack(committed)).toThrow('not kept any more');
    expect(() => cancel(committed)).toThrow('can only be finished');
  });

  it('does not commit when somebody asked for a rollback first', () => {
    const state = after(begun, ...['prepare', 'copy', 'switch'].map(done), rollBack);
    expect(commit({ operationId: 'op', step: 'retire', committedAt: NOW })(state)).toEqual([]);
  });

  it('knows when others have gone on since', () => {
    const copied = after(begun, done('prepare'), done('copy'));
    expect(isSameCourse(copied, copied)).toBe(true);
    expect(isSameCourse(copied, after(copied, failed('switch', NOW)))).toBe(true);
    expect(isSameCourse(copied, after(copied, done('switch')))).toBe(false);
    expect(isSameCourse(copied, after(copied, cancel))).toBe(false);
    const cancelled = ended(after(copied, cancel, ...['switch', 'copy', 'prepare'].map(undone)));
    const again = after(cancelled, retry({ operationId: 'op', retriedAt: NOW }), done('prepare'), done('copy'));
    expect(isSameCourse(copied, again)).toBe(false);
  });

  it('says that a step could not be undone, and stays at it while it may be tried again', () => {
    const state = after(begun, done('prepare'), failed('copy', null), notUndone('copy', 1, NOW));
    expect(course(state)).toMatchObject({ go: 'back', step: { name: 'copy' } });
    expect(view(state)).toMatchObject({ status: 'compensating', error, compensation: { step: 'copy', attempts: 1, retryAt: NOW } });
    expect(after(state, notUndone('copy', 1, null))).toEqual(state);
    const next = after(state, undone('copy'));
    expect(view(next).compensation).toBeUndefined();
    expect(course(next)).toMatchObject({ go: 'back', step: { name: 'prepare' } });
  });

  it('fails half undone after the last attempt to undo a step, and goes on undoing when it is retried', () => {
    const revoked = after(begun, done('prepare'), done('copy'), cancel, undone('switch'));
    const stuck = ended(after(revoked, notUndone('copy', 12, null)));
    const seen = steppedView({ id: 'op', tenantId: 't', type: 'move' }, stuck, steps, NOW, 'typed by somebody');
    expect(seen).toMatchObject({
      status: 'failed',
      error: { code: 'service.unavailable', detail: 'away' },
      compensation: { step: 'copy', attempts: 12, retryAt: null },
    });
    const again = after(stuck, retry({ operationId: 'op', retriedAt: NOW }));
    expect(course(again)).toMatchObject({ go: 'back', step: { name: 'copy' } });
    expect(view(ended(after(again, undone('copy'), undone('prepare'))))).toMatchObject({ status: 'cancelled' });
  });

  it('comes to one end whatever happens, with everything undone unless it succeeded or could not go back', () => {
    const step = fc.constantFrom('ok', 'again', 'fail', 'cancel', 'rollback', 'commit');
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (script) => {
        let state = begun;
        let attempt = 0;
        for (const what of [...script, ...Array.from({ length: 20 }, () => 'ok')]) {
          const now = course(state);
          if (now.go === 'end') break;
          const { name } = now.step;
          try {
            if (what === 'cancel') state = after(state, cancel);
            else if (what === 'rollback') state = after(state, rollBack);
            else if (now.go === 'back') state = after(state, undone(name));
            else if (what === 'ok') state = after(state, done(name));
            else if (what === 'commit') state = after(state, commit({ operationId: 'op', step: name, committedAt: NOW }));
            else {
              attempt += 1;
              state = after(state, failStep({ ...common, attempt, step: name, error, retryAt: what === 'fail' ? null : NOW }));
            }
          } catch (refusal) {
            expect((refusal as { code: string }).code).toMatch(/^operation\.not_/);
          }
        }
        const last = ended(state);
        const left = last.steps.filter(({ status, undone: back }) => status === 'succeeded' && !back);
        if (last.ended?.status === 'succeeded') expect(left).toHaveLength(steps.length);
        else if (last.ended?.status === 'failed') expect(last.committed).toBe(true);
        else expect(left).toEqual([]);
      }),
    );
  });
});
