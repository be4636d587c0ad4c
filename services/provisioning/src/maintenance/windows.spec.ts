import { ManualClock } from '@tenantry/contracts/clock';
import { newId, PLATFORM_LOG } from '@tenantry/contracts/ids';
import { platformEvents } from '@tenantry/contracts/platform/events';
import { MemoryKeyring } from '@tenantry/crypto/memory-keyring';
import { MemoryEventStore } from '@tenantry/event-store/adapters/memory/memory-event-store';
import { aggregate } from '@tenantry/event-store/aggregate';
import { DefaultTenantLog } from '@tenantry/event-store/tenant-log-default';
import { expect, it } from 'vitest';
import { announce, announcement } from './maintenance.js';
import { MaintenanceWindows, windowView } from './windows.js';

it('reads once whom a window names, and remembers that of a few windows', async () => {
  const read: string[] = [];
  const tenantId = newId();
  const load = async (_of: unknown, { stream }: { stream: string }) => {
    read.push(stream);
    return { state: { window: {}, tenantIds: [tenantId] } };
  };
  const windows = new MaintenanceWindows({ load } as never, new ManualClock());
  expect([await windows.names('w-0', tenantId), await windows.names('w-0', newId())]).toEqual([true, false]);
  expect(read).toHaveLength(1);
  for (let n = 1; n <= 31; n++) await windows.names(`w-${n}`, tenantId);
  await windows.names('w-0', tenantId);
  await windows.names('w-32', tenantId);
  expect(read).toHaveLength(33);
  await windows.names('w-0', tenantId);
  await windows.names('w-1', tenantId);
  expect(read.slice(33)).toEqual(['maintenance-w-1']);
});

it('has what it went through on its own stream, and on the one of all where it began there', async () => {
  const store = new MemoryEventStore();
  const log = new DefaultTenantLog(store, new MemoryKeyring());
  const clock = new ManualClock();
  const windows = new MaintenanceWindows(log, clock);
  const command = () => ({ id: newId(), actor: { kind: 'service' as const, id: 'test' } });
  const [startsAt, endsAt] = [clock.now(), new Date(clock.nowMs() + 60_000).toISOString()];
  const tell = async (windowId: string) => {
    const window = { windowId, startsAt, endsAt, noticeAt: null, reason: 'a new disk', emergency: false };
    await log.transact(
      announcement,
      { tenant: PLATFORM_LOG, stream: `maintenance-${windowId}`, command: command() },
      announce(window, null),
    );
    return windows.find(windowId);
  };
  const statusOf = async (windowId: string) => {
    const { status, startedAt, endedAt } = windowView(await windows.find(windowId));
    return [status, startedAt !== null, endedAt !== null];
  };
  const [one, other] = [newId(), newId()];
  const told = await tell(one);
  expect(await statusOf(one)).toEqual(['scheduled', false, false]);
  await windows.open(told);
  await windows.open(told);
  expect(await statusOf(one)).toEqual(['active', true, false]);
  await windows.end(one, command());
  expect(await statusOf(one)).toEqual(['ended', true, true]);
  expect((await store.readStream(PLATFORM_LOG, 'maintenance')).events).toEqual([]);

  await tell(other);
  const ofAll = aggregate({ stream: 'maintenance', events: platformEvents, initial: null, evolve: () => null });
  const data = { windowId: other, scope: 'all' as const, endsAt, reason: 'a new disk', startedAt: startsAt };
  await log.transact(ofAll, { tenant: PLATFORM_LOG, command: command() }, () => [{ type: 'MaintenanceStarted', data }]);
  expect(await statusOf(other)).toEqual(['active', true, false]);
  await windows.open(await windows.find(other));
  await windows.end(other, command());
  expect(await statusOf(other)).toEqual(['ended', true, true]);
  expect((await store.readStream(PLATFORM_LOG, `maintenance-${other}`)).events.map(({ type }) => type)).toEqual([
    'MaintenanceScheduled',
    'MaintenanceEnded',
  ]);
});
