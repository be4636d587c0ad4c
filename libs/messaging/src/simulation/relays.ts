import type { MemoryEventStore } from '@tenantry/event-store/adapters/memory/memory-event-store';
import type { EventStore } from '@tenantry/event-store/port';
import type { Logger } from '@tenantry/observability/logger';
import { Relay, type RelayOptions } from '../relay.js';
import type { SimulatedBus } from './bus.js';
import { type RelaySabotage, type RelayTables, SimulatedLeases, SimulatedRelayStorage } from './relay-tables.js';
import { RemoteEventStore } from './store.js';
import { SimulatedBroker, type SimulatedStream } from './stream.js';
import { Process, type Weather, type World } from './world.js';

export interface RelaySurroundings {
  logs: MemoryEventStore;
  relayTables: RelayTables;
  stream: SimulatedStream;
  bus: SimulatedBus;
  logger: Logger;
  sabotage: RelaySabotage;
}

/** Relays as they are in production, on simulated things; whoever dies is started again. */
export class Relays {
  private readonly lives: Process[] = [];
  private started = 0;

  constructor(
    private readonly world: World,
    private readonly around: RelaySurroundings,
    private readonly weather: Weather,
    replicas: number,
    private readonly options: Partial<RelayOptions>,
  ) {
    for (let replica = 0; replica < replicas; replica++) this.start(replica);
  }

  kill(): void {
    this.end(this.world.below(this.lives.length));
  }
  freeze(forMs: number): void {
    this.world.pick(this.lives).freeze(forMs);
  }

  private end(replica: number): void {
    const process = this.lives[replica];
    if (!process?.alive) return;
    process.kill();
    this.world.after(this.world.random() * 3_000, () => this.start(replica));
  }

  private start(replica: number): void {
    const process = new Process(this.world, `relay-${replica}-${++this.started}`, this.weather);
    this.lives[replica] = process;
    const { around, weather } = this;
    const relay = new Relay({
      store: new RemoteEventStore(process, around.logs),
      broker: new SimulatedBroker(process, around.stream, around.bus, weather, around.sabotage),
      storage: new SimulatedRelayStorage(process, around as { relayTables: RelayTables; logs: EventStore }, around.sabotage),
      leases: new SimulatedLeases(process, around),
      logger: around.logger,
      owner: process.name,
      scheduler: process.scheduler,
      options: this.options,
    });
    relay.start().catch(() => this.end(replica));
  }
}
