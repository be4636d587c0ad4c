import { ManualClock } from '@tenantry/contracts/clock';
import { PLATFORM_LOG } from '@tenantry/contracts/ids';
import type { SystemCommand } from '@tenantry/event-store/tenant-log';
import type { Logger } from '@tenantry/observability/logger';
import type { Environment } from '@tenantry/service/environment';
import { expect, it } from 'vitest';
import { IsolationChecksTimer } from './isolation-checks.timer.js';

const HOUR_MS = 3_600_000;

function scheduled(hours: number, startMs = Date.parse('2026-03-01T10:20:00Z')) {
  const clock = new ManualClock(startMs);
  const due: string[] = [];
  const started: { tenantIds: unknown; id: string }[] = [];
  const expired: string[] = [];
  const timer = new IsolationChecksTimer(
    { start: async (tenantIds: unknown, { id }: SystemCommand) => started.push({ tenantIds, id }) } as never,
    { expire: async (before: string) => expired.push(before) } as never,
    {
      schedule: async (tenantId: string, _purpose: string, at: string, payload: unknown) => {
        expect([tenantId, payload]).toEqual([PLATFORM_LOG, { everyMs: hours * HOUR_MS }]);
        due.push(at);
      },
      cancel: async () => {
        throw new Error('what is due already would be lost');
      },
    } as never,
    clock,
    { debug: () => undefined } as unknown as Logger,
    { values: { TENANTRY_ISOLATION_CHECK_HOURS: hours } } as Environment,
  );
  const fire = (dueAt: string, payload = {}) =>
    timer.fire({ tenantId: PLATFORM_LOG, purpose: timer.purpose, dueAt, payload, commandId: `timer-${dueAt}` });
  return { timer, clock, due, started, expired, fire };
}

it('checks all tenants at whole multiples of its period, one command for each time', async () => {
  const { timer, clock, due, started, expired, fire } = scheduled(6);
  await timer.onApplicationBootstrap();
  expect(due).toEqual(['2026-03-01T12:00:00.000Z']);
  clock.advance(2 * HOUR_MS);
  await fire('2026-03-01T12:00:00.000Z');
  // Fired twice, it is the same command, so the same check.
  await fire('2026-03-01T12:00:00.000Z');
  expect(started).toEqual(Array(2).fill({ tenantIds: undefined, id: 'timer-2026-03-01T12:00:00.000Z' }));
  expect(new Set(due.slice(1))).toEqual(new Set(['2026-03-01T18:00:00.000Z']));
  expect(expired[0]?.slice(0, 10)).toBe('2025-12-01');
});

it('leaves out the times that went by while nothing ran, and does nothing where it is turned off', async () => {
  const late = scheduled(6);
  late.clock.advance(48 * HOUR_MS);
  await late.fire('2026-03-01T12:00:00.000Z');
  expect(late.due).toEqual(['2026-03-03T12:00:00.000Z']);
  const off = scheduled(0);
  await off.timer.onApplicationBootstrap();
  await off.fire('2026-03-01T12:00:00.000Z');
  expect([off.due, off.started]).toEqual([[], []]);
});

it('does nothing at a time that was set for another rhythm', async () => {
  const { fire, started, due } = scheduled(6);
  await fire('2026-03-01T11:00:00.000Z', { everyMs: HOUR_MS });
  expect([started, due]).toEqual([[], []]);
  await fire('2026-03-01T12:00:00.000Z', { everyMs: 6 * HOUR_MS });
  expect(started).toHaveLength(1);
});
