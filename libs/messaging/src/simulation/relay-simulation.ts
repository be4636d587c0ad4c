import type { StoredEvent } from '@tenantry/contracts/events';
import { MemoryEventStore, type MemoryLogs } from '@tenantry/event-store/adapters/memory/memory-event-store';
import { bodyHash } from '@tenantry/event-store/hash';
import type { Logger } from '@tenantry/observability/logger';
import { SimulatedBus } from './bus.js';
import { type RelaySabotage, RelayTables } from './relay-tables.js';
import { Relays } from './relays.js';
import { orderFaults, SimulatedStream, streamFaults } from './stream.js';
import { Process, World } from './world.js';

export interface RelayReport {
  seed: number;
  faults: string[];
  events: number;
  /** What happened to the broker and the database. */
  disasters: string[];
}

const activeMs = 20_000;
const quietMs = 240_000;
const lookEveryMs = 10_000;

/**
 * Relays on one seed, with everything that may happen to brokers: purged, truncated, wiped and replaced streams, elections, breaking
 * connections; and, other than where services run as well, a database that is set back to an older copy. In the end the stream must hold
 * every event of every log.
 */
export async function simulateRelays(
  seed: number,
  sabotage: RelaySabotage = {},
  { disasters: troubled = true }: { disasters?: boolean } = {},
): Promise<RelayReport> {
  const world = new World(seed);
  const weather = { loss: world.pick([0, 0.01, 0.1]), latencyMs: world.pick([1, 5, 40]) };
  const bus = new SimulatedBus(world, { drop: 0.5, duplicate: 0, delayMs: 10 });
  const kept: MemoryLogs = new Map();
  const around = {
    logs: new MemoryEventStore({ logs: kept, wallMs: () => 1_767_225_600_000 + world.nowMs + world.wallSkewMs }),
    relayTables: new RelayTables(),
    stream: new SimulatedStream(world, bus),
    bus,
    logger: silent,
    sabotage,
  };
  const tenants = Array.from({ length: 1 + world.below(4) }, () => world.uuid());
  const relays = new Relays(world, around, weather, 1 + world.below(2), {
    // Small, so that logs are seldom published in one go.
    logsPerRound: 3,
    eventsPerLog: 4,
    maxPendingMessages: 5,
    pollMs: 2_000,
    lookMs: 4_000,
  });
  const disasters: string[] = [];
  const restores = world.chance(0.5);
  let ordered = true;

  let copy: { logs: MemoryLogs; tables: RelayTables } | null = null;
  /** Everything in the database is as it was once; relays that run find it under them. */
  const setBack = () => {
    if (!copy) {
      copy = { logs: structuredClone(kept), tables: around.relayTables.copy() };
      return;
    }
    kept.clear();
    for (const [tenantId, log] of structuredClone(copy.logs)) kept.set(tenantId, log);
    const database = around.relayTables.database + 1;
    around.relayTables = Object.assign(copy.tables.copy(), { database });
    disasters.push('database set back');
    // A relay may send a little of a rewritten log before it notices that it was rewritten.
    ordered = false;
  };
  const disturb = () => {
    world.after(world.random() * 3_000, () => {
      if (world.nowMs > activeMs) return;
      disturb();
      const kind = world.random();
      if (kind < 0.25) relays.kill();
      else if (kind < 0.4) relays.freeze(world.pick([100, 2_000, 15_000, 40_000]));
      else if (kind < 0.5) world.wallSkewMs += world.pick([-3_600_000, 3_600_000]);
      else if (!troubled) relays.kill();
      else if (kind < 0.65 && restores) setBack();
      else {
        const what = around.stream.disaster();
        disasters.push(what);
        // One may be gone that nobody has written down as published: it comes again as if for the first time.
        if (what === 'delete messages' || what.startsWith('purge')) ordered = false;
      }
    });
  };
  disturb();

  const writer = new Process(world, 'writer', { loss: 0, latencyMs: 1 });
  const write = async () => {
    while (world.nowMs < activeMs) {
      await writer.scheduler.sleep(world.random() * 300);
      const tenantId = world.pick(tenants);
      await append(world, around.logs, tenantId, 1 + world.below(6));
      bus.publish('tenantry.nudge', { tenantId, position: Number.NaN, body: () => '' });
    }
  };
  void write();

  await world.runUntil(activeMs);
  weather.loss = 0;
  let faults = ['nothing was looked at'];
  for (let right = 0; right < 2 && world.nowMs < activeMs + quietMs; right = faults.length === 0 ? right + 1 : 0) {
    await world.runUntil(world.nowMs + lookEveryMs);
    const logs = await Promise.all(tenants.map((tenantId) => around.logs.readLog(tenantId, 0, { limit: 10_000 })));
    faults = logs.flatMap(({ events }, index) => streamFaults(around.stream, tenants[index] as string, events));
    if (ordered) faults.push(...tenants.flatMap((tenantId) => orderFaults(around.stream, tenantId)));
  }
  return { seed, faults, events: (await around.logs.heads()).reduce((sum, { position }) => sum + position + 1, 0), disasters };
}

async function append(world: World, logs: MemoryEventStore, tenantId: string, count: number): Promise<StoredEvent[]> {
  const commandId = world.uuid();
  const stream = `stream-${commandId}`;
  const events = Array.from({ length: count }, () => {
    const metadata = { commandId, actor: { kind: 'service' as const, id: 'simulated' } };
    const body = { id: world.uuid(), context: 'tenant' as const, type: 'SimulatedHappened', version: 1, data: {}, metadata };
    return { ...body, bodyHash: bodyHash({ tenantId, stream, ...body }) };
  });
  return (await logs.append({ tenantId, commandId, requestHmac: null, stream, expectedVersion: -1, events })).events;
}

const nothing = () => undefined;
const silent = { trace: nothing, debug: nothing, info: nothing, warn: nothing, error: nothing, fatal: nothing } as unknown as Logger;
