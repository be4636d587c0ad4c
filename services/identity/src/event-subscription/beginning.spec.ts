import { describe, expect, it } from 'vitest';
import { beginningOf, labelOf, seenProgress } from './beginning.js';
import type { ConsumerState } from './consumers.js';
import type { Start } from './event-subscription.js';
import type { Progress } from './subscription-table.js';

const made = '2026-01-01T00:00:00.000Z';
const remade = '2026-02-01T00:00:00.000Z';
const subscriptionId = 'b6f1c0de-0000-4000-8000-000000000001';
const start = (from: Start['from'], startsAt: Start['startsAt'], generation = 1) => ({ start: { generation, from, startsAt } });
const progress = (values: Partial<Progress> = {}): Progress => ({
  ...{ consumer: 'c', subscriptionId, generation: 1, streamCreated: made, acknowledged: 40, acknowledgedUntil: null },
  ...values,
});
const tenant = { tenantId: 'a' };
const all = { tenantId: null };

describe('a consumer begins', () => {
  it.each([
    ['with the oldest', start('first', null), tenant, undefined, made, { policy: 'all' }],
    ['with what comes', start('new', { all: made }), tenant, undefined, made, { policy: 'new' }],
    [
      'a little before the instant',
      start({ time: made }, { all: made }),
      all,
      undefined,
      made,
      { policy: 'by_start_time', time: '2025-12-31T23:59:58.000Z' },
    ],
    [
      'at its own tenant’s instant',
      start({ positions: {} }, { a: made, b: remade }),
      tenant,
      undefined,
      made,
      { policy: 'by_start_time', time: '2025-12-31T23:59:58.000Z' },
    ],
    [
      'after what was acknowledged in this stream',
      start('first', null),
      tenant,
      progress(),
      made,
      { policy: 'by_start_sequence', seq: 41 },
    ],
    [
      'by time in another stream',
      start('first', null),
      tenant,
      progress({ acknowledgedUntil: '2026-01-31T00:00:02.000Z' }),
      remade,
      { policy: 'by_start_time', time: '2026-01-31T00:00:00.000Z' },
    ],
    [
      'rather too early where no time is known',
      start('new', { all: made }),
      tenant,
      progress(),
      remade,
      { policy: 'by_start_time', time: '2025-12-31T23:59:58.000Z' },
    ],
    ['anew after a replay', start('first', null, 2), tenant, progress(), made, { policy: 'all' }],
  ] as const)('%s', (_what, of, plan, known, stream, expected) => {
    expect(beginningOf(of, plan, known, stream)).toEqual(expected);
  });
});

describe('what is remembered of a consumer', () => {
  const of = { ...start('first', null, 2), subscriptionId, credentials: 3 } as never;
  const state = (values: Partial<ConsumerState>): ConsumerState => ({
    ...{ name: 'c', label: labelOf(of), filterSubject: 'x', delivered: 70, acknowledged: 60, pending: 5, unacknowledged: 3 },
    ...values,
  });
  it('is what was acknowledged', () => {
    expect(seenProgress(of, state({}), made, undefined)).toMatchObject({ generation: 2, acknowledged: 60, streamCreated: made });
  });
  it('is all that was delivered where nothing waits for its acknowledgement', () => {
    expect(seenProgress(of, state({ unacknowledged: 0 }), made, undefined)).toMatchObject({ acknowledged: 70 });
  });
  it('is never less than where it began', () => {
    const known = progress({ generation: 2, acknowledged: 65 });
    expect(seenProgress(of, state({ acknowledged: 0 }), made, known)).toMatchObject({ acknowledged: 65 });
    expect(seenProgress(of, state({ acknowledged: 0 }), remade, known)).toMatchObject({ acknowledged: 0 });
  });
  it('is nothing where it was made for another start', () => {
    expect(
      seenProgress(of, state({ label: labelOf({ ...(of as object), start: { generation: 1 } } as never) }), made, undefined),
    ).toBeNull();
    expect(seenProgress(of, state({ label: 'something else' }), made, undefined)).toBeNull();
  });
});
