import { ManualClock } from '@tenantry/contracts/clock';
import { ComeBack } from '@tenantry/messaging/effects';
import { describe, expect, it } from 'vitest';
import { RunMaintenance } from './run-maintenance.effect.js';

const at = (minutes: number) => new Date(Date.parse('2026-01-01T12:00:00.000Z') + minutes * 60_000).toISOString();
const window = {
  ...{ windowId: 'w-1', scope: 'all', reason: 'a new disk', emergency: false },
  ...{ noticeAt: at(0), startsAt: at(30), endsAt: at(60) },
};

/** What the effect does when it comes to the window at that minute. */
async function comingAt(minutes: number, course?: { startedAt: string }) {
  const did: string[] = [];
  const clock = new ManualClock(Date.parse(at(minutes)));
  const windows = {
    find: async () => ({ window, announcement: { tenantIds: [], actor: null }, course }),
    open: async () => did.push('open'),
    end: async () => did.push('end'),
  };
  const jobs = { has: async () => false, start: async ({ params }: { params: { subject: string } }) => did.push(params.subject) };
  const selection = { matching: async () => ({ tenantIds: ['t-1'] }) };
  const effect = new RunMaintenance(windows as never, selection as never, jobs as never, clock);
  await effect.run({ payload: { windowId: 'w-1' }, causationId: 'e-1' } as never).catch((error) => {
    if (!(error instanceof ComeBack)) throw error;
  });
  return did;
}
const announced = 'Maintenance from 2026-01-01 12:30 UTC to 2026-01-01 13:00 UTC';

describe('a window that is come to', () => {
  it('is announced, then reminded of, then opened, then closed', async () => {
    expect(await comingAt(-10)).toEqual([announced]);
    expect(await comingAt(10)).toEqual([announced, 'Maintenance begins soon: 2026-01-01 12:30 UTC']);
    expect(await comingAt(45, { startedAt: at(30) })).toEqual([announced]);
    expect(await comingAt(60, { startedAt: at(30) })).toEqual([announced, 'end']);
  });

  it('after it should have begun is opened, and nobody is told that it begins soon', async () => {
    expect(await comingAt(45)).toEqual([announced, 'open']);
  });

  it('after it should have ended is called off: no tenant is told of it, or kept waiting for a moment', async () => {
    expect(await comingAt(61)).toEqual(['end']);
  });
});
