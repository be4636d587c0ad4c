import type { NatsConnection } from '@nats-io/transport-node';
import type { Clock } from '@tenantry/contracts/clock';
import type { EventStore } from '@tenantry/event-store/port';
import type { RunnerStorage } from '@tenantry/messaging/consumer-rows';
import { EffectWorker } from '@tenantry/messaging/effect-worker';
import { EffectHandler, TimerHandler } from '@tenantry/messaging/effects';
import { PostgresEffects } from '@tenantry/messaging/postgres-effects';
import type { ProcessManager, Projection } from '@tenantry/messaging/projection';
import { Rebuilds } from '@tenantry/messaging/rebuilds';
import { Retention } from '@tenantry/messaging/retention';
import { Runner } from '@tenantry/messaging/runner';
import type { Scheduler } from '@tenantry/messaging/scheduler';
import { TimerPoller } from '@tenantry/messaging/timers';
import { NatsWakeUps } from '@tenantry/messaging/wake-ups';
import type { Logger } from '@tenantry/observability/logger';
import type { Pool } from 'pg';
import { measuredEffects } from './measured.js';

/** What the providers of the service's modules have in store for the worker. */
export interface Work {
  projections: Projection[];
  processes: ProcessManager[];
  effects: EffectHandler[];
  timers: TimerHandler[];
}

const kindOf = (provider: unknown): unknown =>
  typeof provider === 'object' && provider !== null && 'kind' in provider ? provider.kind : undefined;

/** Sorts the instances of all providers: projections and processes by their `kind`, handlers by their class. */
export function workOf(providers: Iterable<unknown>): Work {
  const all = [...new Set(providers)];
  return {
    projections: all.filter((provider): provider is Projection => kindOf(provider) === 'projection'),
    processes: all.filter((provider): provider is ProcessManager => kindOf(provider) === 'process'),
    effects: all.filter((provider) => provider instanceof EffectHandler),
    timers: all.filter((provider) => provider instanceof TimerHandler),
  };
}

export interface WorkerParts {
  service: string;
  /** The service's own schema. */
  schema: string;
  work: Work;
  pool: Pool;
  log: EventStore;
  storage: RunnerStorage;
  scheduler: Scheduler;
  nats: NatsConnection;
  clock: Clock;
  logger: Logger;
  /** This process, by a name that it has again after a restart. */
  owner: string;
}

/** The background of a service: projections and process managers, effects, timers. */
export class Worker {
  readonly runner: Runner;
  private readonly effects: EffectWorker;
  private readonly timers: TimerPoller;
  private readonly retention: Retention;
  private readonly rebuilds: Rebuilds;

  constructor({ work, ...parts }: WorkerParts) {
    const { pool, schema, nats, logger } = parts;
    this.effects = new EffectWorker({ ...parts, store: new PostgresEffects(pool, schema), handlers: work.effects.map(measuredEffects) });
    this.timers = new TimerPoller({ ...parts, handlers: work.timers });
    this.retention = new Retention(parts);
    this.runner = new Runner({
      ...parts,
      store: parts.log,
      wakeUps: new NatsWakeUps(nats, logger),
      projections: work.projections,
      processes: work.processes,
      onEffects: () => this.effects.wake(),
    });
    this.rebuilds = new Rebuilds({ ...parts, rebuild: (consumer, tenantId) => this.runner.rebuild(consumer, tenantId) });
  }

  async start(): Promise<void> {
    this.effects.start();
    this.timers.start();
    this.retention.start();
    this.rebuilds.start();
    await this.runner.start();
  }

  /** Starts nothing more, waits for what runs, gives leases back. */
  async stop(): Promise<void> {
    await Promise.allSettled([
      this.effects.stop(4_000),
      this.timers.stop(),
      this.retention.stop(),
      this.rebuilds.stop(),
      this.runner.stop(),
    ]);
  }
}
