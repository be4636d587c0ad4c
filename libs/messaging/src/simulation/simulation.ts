import { createHash } from 'node:crypto';
import { DomainError } from '@tenantry/contracts/errors';
import type { StoredEvent } from '@tenantry/contracts/events';
import { MemoryEventStore } from '@tenantry/event-store/adapters/memory/memory-event-store';
import type { Logger } from '@tenantry/observability/logger';
import { SimulatedBus } from './bus.js';
import { type Acknowledged, faultsOf } from './checks.js';
import { Node, Provider, type Surroundings } from './node.js';
import { type RelaySabotage, RelayTables } from './relay-tables.js';
import { Relays } from './relays.js';
import type { Sabotage } from './rows.js';
import { SimulatedStream, streamFaults } from './stream.js';
import { Tables } from './tables.js';
import { Process, World } from './world.js';

export interface Report {
  seed: number;
  /** What is wrong at the end, empty where all is as it must be. */
  faults: string[];
  events: number;
  /** Of all logs: differs wherever anything went otherwise. */
  digest: string;
  acknowledged: number;
  kills: number;
}

const replicas = 2;
const clients = 4;
const activeMs = 20_000;
/** Everything is whole again, and there is time for every lease, sweep and backoff; seen to be right, it must stay right. */
const quietMs = 240_000;
const lookEveryMs = 10_000;

/**
 * Runs replicas of a service on one seed: clients send commands and repeat them until they are answered, while processes die, freeze and
 * come back, messages and answers are lost and the wall clock jumps. Then all is quiet, and what is left is compared with the log.
 */
export async function simulate(seed: number, sabotage: Sabotage & RelaySabotage = {}): Promise<Report> {
  const world = new World(seed);
  const weather = { loss: world.pick([0, 0.01, 0.05, 0.15]), latencyMs: world.pick([1, 5, 40]) };
  const busWeather = { drop: world.pick([0, 0.2, 0.8, 1]), duplicate: world.pick([0, 0.3]), delayMs: world.pick([1, 50, 2_000]) };
  const bus = new SimulatedBus(world, busWeather);
  const around: Surroundings & { relayTables: RelayTables; stream: SimulatedStream } = {
    logs: new MemoryEventStore({ wallMs: () => 1_767_225_600_000 + world.nowMs + world.wallSkewMs }),
    tables: new Tables(),
    bus,
    relayTables: new RelayTables(),
    stream: new SimulatedStream(world, bus),
    provider: new Provider(),
    logger: silent,
    sabotage,
  };
  const tenants = Array.from({ length: 1 + world.below(4) }, () => world.uuid());
  const nodes: Node[] = [];
  let kills = 0;
  const start = (replica: number) => {
    const process = new Process(world, `simulated-${replica}`, weather);
    nodes[replica] = new Node(process, around, () => end(process, replica));
  };
  const end = (process: Process, replica: number) => {
    if (!process.alive) return;
    process.kill();
    world.after(world.random() * 3_000, () => start(replica));
  };
  for (let replica = 0; replica < replicas; replica++) start(replica);
  const relays = new Relays(world, { ...around, sabotage }, weather, replicas, { pollMs: 4_000, lookMs: 8_000 });

  const disturb = () => {
    world.after(world.random() * 4_000, () => {
      if (world.nowMs > activeMs) return;
      disturb();
      const replica = world.below(replicas);
      const { process } = nodes[replica] as Node;
      const kind = world.random();
      if (kind < 0.4) {
        end(process, replica);
        kills += 1;
      } else if (kind < 0.5) relays.kill();
      else if (kind < 0.55) relays.freeze(world.pick([100, 2_000, 15_000]));
      else if (kind < 0.65) around.stream.disaster();
      else if (kind < 0.85) process.freeze(world.pick([100, 2_000, 8_000, 40_000]));
      else world.wallSkewMs += world.pick([-3_600_000, 3_600_000]);
    });
  };
  if (world.chance(0.9)) disturb();

  const acknowledged: Acknowledged[] = [];
  const sent = new Set<string>();
  const client = new Process(world, 'client', { loss: 0, latencyMs: 1 });
  const converse = async () => {
    while (world.nowMs < activeMs) {
      await client.scheduler.sleep(world.random() * 1_000);
      const tenantId = world.pick(tenants);
      const stream = `account-${world.below(2)}`;
      const command = { tenantId, stream, id: world.uuid(), count: 1 + world.below(3) };
      sent.add(command.id);
      const events = await answered(client, () => nodes[world.below(replicas)] as Node, command);
      if (events) acknowledged.push({ ...command, events });
    }
  };
  for (let n = 0; n < clients; n++) void converse();

  await world.runUntil(activeMs);
  weather.loss = 0;
  busWeather.drop = 0;
  let faults: string[] = ['nothing was looked at'];
  for (let right = 0; right < 2 && world.nowMs < activeMs + quietMs; right = faults.length === 0 ? right + 1 : 0) {
    await world.runUntil(world.nowMs + lookEveryMs);
    faults = await faultsOf({ ...around, tenants, acknowledged, sent });
    const logs = await Promise.all(tenants.map((tenantId) => around.logs.readLog(tenantId, 0, { limit: 10_000 })));
    faults.push(...logs.flatMap(({ events }, index) => streamFaults(around.stream, tenants[index] as string, events)));
  }
  const heads = await around.logs.heads();
  const tips = await Promise.all(heads.map(({ tenantId, position }) => around.logs.readLog(tenantId, position)));
  const digest = createHash('sha256').update(JSON.stringify(tips)).digest('hex');
  const events = heads.reduce((sum, { position }) => sum + position + 1, 0);
  return { seed, faults, events, digest, acknowledged: acknowledged.length, kills };
}

/** Sends a command until it is answered, to whichever replica; null for a refusal. */
async function answered(
  client: Process,
  node: () => Node,
  { tenantId, stream, id, count }: { tenantId: string; stream: string; id: string; count: number },
): Promise<StoredEvent[] | null> {
  const { scheduler } = client;
  for (;;) {
    const to = node();
    const answer = to.process.alive
      ? to.enter(tenantId, stream, id, count).then(
          (events) => ({ events }),
          (error: unknown) => {
            if (error instanceof DomainError && error.code === 'quota.exceeded') return { events: null };
            if (error instanceof DomainError && (error.code === 'service.unavailable' || error.code === 'log.conflict')) return null;
            throw error;
          },
        )
      : Promise.resolve(null);
    const outcome = await Promise.race([answer, scheduler.sleep(2_000).then(() => null)]);
    if (outcome) return outcome.events;
    await scheduler.sleep(200);
  }
}

const nothing = () => undefined;
const silent = { trace: nothing, debug: nothing, info: nothing, warn: nothing, error: nothing, fatal: nothing } as unknown as Logger;
