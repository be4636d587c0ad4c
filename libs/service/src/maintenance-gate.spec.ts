import { ManualClock } from '@tenantry/contracts/clock';
import { newId, PLATFORM_LOG } from '@tenantry/contracts/ids';
import { platformEvents } from '@tenantry/contracts/platform/events';
import { MemoryKeyring } from '@tenantry/crypto/memory-keyring';
import { MemoryEventStore } from '@tenantry/event-store/adapters/memory/memory-event-store';
import { aggregate } from '@tenantry/event-store/aggregate';
import { DefaultTenantLog } from '@tenantry/event-store/tenant-log-default';
import { describe, expect, it } from 'vitest';
import { MaintenanceGate } from './maintenance-gate.js';

const DAY_MS = 24 * 3_600_000;
const any = aggregate({ stream: 'any', events: platformEvents, initial: null, evolve: () => null });

/** A platform's log, and a gate that asks it each time. */
function given() {
  const clock = new ManualClock();
  const store = new MemoryEventStore({ wallMs: () => clock.nowMs() });
  const log = new DefaultTenantLog(store, new MemoryKeyring());
  const actor = { kind: 'service' as const, id: 'test' };
  const say = (stream: string, ...events: any[]) =>
    log.transact(any, { tenant: PLATFORM_LOG, stream, command: { id: newId(), actor } }, () => events);
  const endsAt = (days: number) => new Date(clock.nowMs() + days * DAY_MS).toISOString();
  const start = (stream: string, windowId: string, scope = 'all', days = 1) =>
    say(stream, {
      type: 'MaintenanceStarted',
      data: { windowId, scope, endsAt: endsAt(days), reason: 'a new disk', startedAt: clock.now() },
    });
  const end = (stream: string, windowId: string) =>
    say(stream, { type: 'MaintenanceEnded', data: { windowId, cause: 'manual', endedAt: clock.now() } });
  let read = 0;
  const counting = {
    readStream: store.readStream.bind(store),
    readLog: async (...asked: Parameters<typeof store.readLog>) => {
      const slice = await store.readLog(...asked);
      read += slice.events.length;
      return slice;
    },
  };
  const gate = () => new MaintenanceGate({ store: counting, clock, maxAgeMs: 0 });
  return { clock, say, start, end, gate, read: () => read };
}
const held = { code: 'tenant.maintenance' };

describe('maintenance', () => {
  it('is found on the streams of its windows, and on the one that all were on before', async () => {
    const { start, end, gate } = given();
    const [asked, tenantId] = [gate(), newId()];
    await asked.pass(tenantId);
    for (const stream of ['maintenance', 'maintenance-w']) {
      await start(stream, stream);
      await expect(asked.pass(tenantId)).rejects.toMatchObject(held);
      await expect(gate().pass(tenantId)).rejects.toMatchObject(held);
      await end('maintenance-w', stream);
      await asked.pass(tenantId);
      await gate().pass(tenantId);
    }
  });

  it('holds those that a window names, and no others', async () => {
    const { say, start, gate } = given();
    const [one, other] = [newId(), newId()];
    await say('maintenance-w', { type: 'MaintenanceTenantsNamed', data: { windowId: 'w', tenantIds: [one] } });
    await start('maintenance-w', 'w', 'some');
    await expect(gate().pass(one)).rejects.toMatchObject(held);
    await gate().pass(other);
  });

  it('is not looked for among what can’t be open any more', async () => {
    const { clock, start, end, gate, read } = given();
    for (let n = 0; n < 500; n++) {
      await start(`maintenance-${n}`, `${n}`);
      await end(`maintenance-${n}`, `${n}`);
    }
    clock.advance(20 * DAY_MS);
    await start('maintenance-long', 'long', 'all', 30);
    clock.advance(29 * DAY_MS);
    await expect(gate().pass(newId())).rejects.toMatchObject(held);
    expect(read()).toBeLessThan(20);
  });
});
