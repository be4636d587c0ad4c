import { DomainError } from '@tenantry/contracts/errors';
import { describe, expect, it } from 'vitest';
import { failure, isAway, retryAfterMs } from './backoff.js';

const lost = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });

describe('backoff', () => {
  it('doubles, with jitter on the upper half', () => {
    expect([1, 2, 3, 4].map((attempt) => retryAfterMs(new Error('x'), attempt, 0))).toEqual([100, 200, 400, 800]);
    expect([1, 2, 3].map((attempt) => retryAfterMs(new Error('x'), attempt, 1))).toEqual([200, 400, 800]);
  });
  it('ends after six attempts', () => expect(retryAfterMs(new Error('x'), 6, 0)).toBeNull());
  it('goes on longer while a part of the system is away', () => {
    expect(retryAfterMs(lost, 6, 0)).toBeGreaterThan(0);
    expect(retryAfterMs(new DomainError('service.unavailable'), 24, 1)).toBe(30_000);
    expect(retryAfterMs(lost, 25, 0)).toBeNull();
  });
  it('knows what is away', () => {
    expect(isAway(Object.assign(new Error('x'), { code: '57P01' }))).toBe(true);
    expect(isAway(new Error('Connection terminated unexpectedly'))).toBe(true);
    expect(isAway(Object.assign(new Error('x'), { code: '42501' }))).toBe(false);
    for (const code of ['placement.unavailable', 'placement.busy', 'tenant.busy'] as const)
      expect(isAway(new DomainError(code))).toBe(true);
    expect(isAway(new DomainError('placement.not_found'))).toBe(false);
  });
  it('shows operators no internals', () => {
    expect(failure(new Error('password is hunter2')).detail).not.toContain('hunter2');
    expect(failure(new DomainError('domain.taken', { detail: 'taken' }))).toEqual({ code: 'domain.taken', detail: 'taken' });
  });
});
