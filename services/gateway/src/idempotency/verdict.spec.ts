import { describe, expect, it } from 'vitest';
import { type FirstRequest, keepMs, type Outcome, verdictOf } from './verdict.js';

const done = (body: string | null): FirstRequest => ({
  requestHash: 'h',
  state: 'done',
  answer: { status: 202, headers: {}, body, sealedFor: null },
});
const DAY_MS = 86_400_000;

describe('a further request with the key', () => {
  it.each([
    ['another request: mismatch, whatever became of the first', done('{}'), 'other', 'mismatch'],
    ['another request while the first is in flight', { requestHash: 'h', state: 'in_flight', answer: null }, 'other', 'mismatch'],
    ['the same while it is in flight: waits', { requestHash: 'h', state: 'in_flight', answer: null }, 'h', 'wait'],
    ['the same: the first answer', done('{}'), 'h', 'replay'],
    ['the same, and the answer has no body: that is an answer too', done(''), 'h', 'replay'],
    ['the same, and the answer showed a secret', done(null), 'h', 'secret'],
  ] as [string, FirstRequest, string, string][])('%s', (_what, first, asked, verdict) => {
    expect(verdictOf(first, asked)).toBe(verdict);
  });
});

describe('an answer', () => {
  const outcome = (status: number, more: Partial<Outcome> = {}, headers = {}): Outcome => ({
    rendered: { status, headers, body: '' },
    ...more,
  });
  it.each([
    ['that changed something is kept longer', outcome(202, {}, { 'tenantry-position': 't:1' }), 7 * DAY_MS],
    ['that changed nothing is kept 24 hours', outcome(200), DAY_MS],
    ['that refused is kept 24 hours', outcome(409, { code: 'tenant.slug_taken' }), DAY_MS],
    ['that lost against others is not kept', outcome(409, { code: 'log.conflict' }), 0],
    ['of a full quota is not kept', outcome(429, { code: 'quota.exceeded' }), 0],
    ['of a service that is away is not kept', outcome(503, { code: 'service.unavailable' }), 0],
    ['of an error of ours is not kept', outcome(500, { code: 'internal.error' }), 0],
  ] as [string, Outcome, number][])('%s', (_what, given, forMs) => {
    expect(keepMs(given)).toBe(forMs);
  });
});
