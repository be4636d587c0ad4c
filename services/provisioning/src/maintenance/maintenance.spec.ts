import type { StoredEvent } from '@tenantry/contracts/events';
import { newId } from '@tenantry/contracts/ids';
import { platformEvents } from '@tenantry/contracts/platform/events';
import { type Aggregate, fold } from '@tenantry/event-store/aggregate';
import { describe, expect, it } from 'vitest';
import { announce, announcement, close, earlierCourses, open, statusOf, times } from './maintenance.js';

const NOW = '2026-01-01T12:00:00.000Z';
const later = (minutes: number) => new Date(Date.parse(NOW) + minutes * 60_000).toISOString();
const wish = { endsAt: later(120), reason: 'a new disk', graceMinutes: 0, emergency: false };
const apply = <S>(of: Aggregate<S, typeof platformEvents>, state: S, events: { type: string; data: unknown }[]) =>
  fold(of, events.map((event) => ({ ...event, recordedAt: NOW, metadata: {} }) as unknown as StoredEvent) as never, state);

describe('when maintenance is', () => {
  it('starts now unless something else is said', () => {
    expect(times(wish, NOW)).toEqual({ startsAt: NOW, endsAt: later(120), noticeAt: null });
    expect(times({ ...wish, startsAt: later(-10) }, NOW).startsAt).toBe(NOW);
  });

  it('starts after the grace, or reminds so long before', () => {
    expect(times({ ...wish, graceMinutes: 30 }, NOW)).toEqual({ startsAt: later(30), endsAt: later(120), noticeAt: null });
    expect(times({ ...wish, startsAt: later(60), graceMinutes: 30 }, NOW)).toMatchObject({ startsAt: later(60), noticeAt: later(30) });
    expect(times({ ...wish, startsAt: later(10), graceMinutes: 30 }, NOW).noticeAt).toBeNull();
  });

  it('is refused where it makes no sense', () => {
    const refused = (change: object, field: string) =>
      expect(() => times({ ...wish, ...change }, NOW)).toThrow(
        expect.objectContaining({ code: 'request.invalid', errors: [expect.objectContaining({ field })] }),
      );
    refused({ endsAt: later(-1) }, 'endsAt');
    refused({ startsAt: later(121) }, 'endsAt');
    refused({ endsAt: later(60 * 24 * 31) }, 'endsAt');
    refused({ emergency: true, startsAt: later(5) }, 'startsAt');
    refused({ emergency: true, graceMinutes: 5 }, 'graceMinutes');
  });
});

describe('a maintenance window', () => {
  const window = { windowId: 'w', startsAt: NOW, endsAt: later(60), noticeAt: null, reason: 'a new disk', emergency: false };

  it('names its tenants in portions that fit into events', () => {
    const ids = Array.from({ length: 7_000 }, () => newId());
    const events = announce(window, ids)(announcement.initial);
    expect(events.map(({ type }) => type)).toEqual(['MaintenanceScheduled', 'MaintenanceTenantsNamed', 'MaintenanceTenantsNamed']);
    for (const event of events) expect(JSON.stringify(event).length).toBeLessThan(256 * 1024);
    const state = apply(announcement, announcement.initial, events);
    expect(state.tenantIds).toEqual(ids);
    expect(announce(window, ids)(state)).toEqual([]);
    expect(() =>
      announce(
        window,
        Array.from({ length: 10_001 }, () => 'x'),
      )(announcement.initial),
    ).toThrow(/or all/);
  });

  it('is opened once and closed once, and called off where it never was open', () => {
    const told = apply(announcement, announcement.initial, announce(window, null)(announcement.initial));
    const opened = apply(announcement, told, open(NOW, null)(told));
    expect([statusOf(told.course), statusOf(opened.course)]).toEqual(['scheduled', 'active']);
    expect(open(NOW, null)(opened)).toEqual([]);
    const closed = apply(announcement, opened, close('manual', undefined, NOW, null)(opened));
    expect([statusOf(closed.course), closed.course?.startedAt]).toEqual(['ended', NOW]);
    expect(close('over', undefined, NOW, null)(closed)).toEqual([]);
    const off = apply(announcement, told, close('manual', undefined, NOW, null)(told));
    expect(statusOf(off.course)).toBe('cancelled');
    expect(open(NOW, null)(off)).toEqual([]);
  });

  it('goes on where all windows were on one stream', () => {
    const told = apply(announcement, announcement.initial, announce(window, null)(announcement.initial));
    const started = { type: 'MaintenanceStarted', data: { windowId: 'w', scope: 'all', endsAt: later(60), reason: '', startedAt: NOW } };
    const earlier = apply(earlierCourses, {}, [started])['w'] ?? null;
    expect(statusOf(earlier)).toBe('active');
    expect(open(NOW, earlier)(told)).toEqual([]);
    expect(close('over', undefined, NOW, earlier)(told)).toMatchObject([{ type: 'MaintenanceEnded', data: { cause: 'over' } }]);
    const over = apply(earlierCourses, {}, [started, { type: 'MaintenanceEnded', data: { windowId: 'w', cause: 'over', endedAt: NOW } }]);
    expect(statusOf(over['w'] ?? null)).toBe('ended');
    expect(close('over', undefined, NOW, over['w'] ?? null)(told)).toEqual([]);
  });
});
