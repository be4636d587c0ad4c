import { describe, expect, it } from 'vitest';
import { allowance, answerOf, percentOf, refuseUnknownResource, remainingOf, type Standing } from './usage.js';

const asked = { resource: 'api_calls', amount: 5 };
const nowMs = Date.parse('2026-01-31T23:59:50.500Z');
const standing = (limit: number | null, used: number): Standing => ({
  resource: 'users',
  kind: 'gauge',
  unit: 'count',
  limit,
  used,
  periodEnd: null,
  poolLeft: null,
});
const refusal = (run: () => unknown) => {
  try {
    run();
  } catch (error) {
    return error;
  }
  throw new Error('was not refused');
};

describe('what is left', () => {
  it('is the difference, never below 0, and nothing to say of without a limit', () => {
    expect(remainingOf(10, 3)).toBe(7);
    expect(remainingOf(10, 12)).toBe(0);
    expect(remainingOf(null, 12)).toBeNull();
  });
  it('is a per cent of the limit to two places', () => {
    expect(percentOf(3, 1)).toBe(33.33);
    expect(percentOf(10, 12)).toBe(120);
    expect(percentOf(0, 0)).toBe(100);
    expect(percentOf(null, 7)).toBeNull();
  });
});

describe('checking an amount', () => {
  it('is allowed up to the limit and not beyond', () => {
    expect(allowance(standing(5, 3), 2)).toEqual({ allowed: true, remaining: 2, limit: 5, used: 3 });
    expect(allowance(standing(5, 3), 3)).toEqual({ allowed: false, remaining: 2, limit: 5, used: 3 });
  });
  it('is always allowed without a limit', () => {
    expect(allowance(standing(null, 3), 1_000_000)).toEqual({ allowed: true, remaining: null, limit: null, used: 3 });
  });
});

describe('the answer to a change', () => {
  it('shows what is used and left, the same for a repeat', () => {
    for (const outcome of ['changed', 'repeated'] as const) {
      expect(answerOf(asked, { outcome, used: 8, limit: 10, periodEnd: null }, nowMs)).toEqual({ allowed: true, remaining: 2, used: 8 });
    }
  });
  it('over the limit of a counter says what is left and when to come back, in seconds rounded up', () => {
    const error = refusal(() => answerOf(asked, { outcome: 'exceeded', used: 8, limit: 10, periodEnd: '2026-02-01T00:00:00.000Z' }, nowMs));
    expect(error).toMatchObject({
      code: 'quota.exceeded',
      retryAfterSeconds: 10,
      extensions: { resource: 'api_calls', limit: 10, used: 8, remaining: 2 },
      errors: [{ field: 'amount', rule: 'quota' }],
    });
  });
  it('over the limit of a gauge says to ask again in a minute: only a release makes room', () => {
    const error = refusal(() => answerOf(asked, { outcome: 'exceeded', used: 8, limit: 10, periodEnd: null }, nowMs));
    expect(error).toMatchObject({ code: 'quota.exceeded', retryAfterSeconds: 60 });
  });
  it('names the field that was wrong', () => {
    expect(refusal(() => answerOf(asked, { outcome: 'below_zero', used: 2 }, nowMs))).toMatchObject({
      code: 'request.invalid',
      errors: [{ field: 'amount' }],
    });
    expect(refusal(() => answerOf(asked, { outcome: 'too_large' }, nowMs))).toMatchObject({
      code: 'request.invalid',
      errors: [{ field: 'amount' }],
    });
    expect(refusal(() => answerOf(asked, { outcome: 'not_releasable', kind: 'counter' }, nowMs))).toMatchObject({
      code: 'request.invalid',
      errors: [{ field: 'resource' }],
    });
    expect(refusal(() => refuseUnknownResource('unicorns', ['users', 'storage']))).toMatchObject({
      code: 'quota.unknown_resource',
      errors: [{ field: 'resource', message: expect.stringContaining('users, storage') }],
    });
  });
  it('refuses another request under the same id', () => {
    expect(refusal(() => answerOf(asked, { outcome: 'mismatch' }, nowMs))).toMatchObject({ code: 'idempotency.mismatch' });
  });
});

describe('a child of a reseller that pools its limits', () => {
  const left = (poolLeft: number) => ({ ...standing(10, 4), poolLeft });
  it.each([
    [6, 100, true, 6],
    [7, 100, false, 6],
    [2, 2, true, 2],
    [3, 2, false, 2],
    [1, 0, false, 0],
  ])('asks for %i where the pool has %i left', (amount, poolLeft, allowed, remaining) => {
    expect(allowance(left(poolLeft), amount)).toEqual({ allowed, remaining, limit: 10, used: 4 });
  });
  it('is told that it is the pool that is used up', () => {
    const refused = () => answerOf(asked, { outcome: 'pool_exceeded', used: 9, limit: 10, periodEnd: null }, nowMs);
    expect(refused).toThrow(/1 of 10 are left of the limit that the reseller and all its children share/);
  });
});
