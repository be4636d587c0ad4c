import type { StoredEvent } from '@tenantry/contracts/events';
import { derivedId } from '@tenantry/contracts/ids';
import type { MemoryEventStore } from '@tenantry/event-store/adapters/memory/memory-event-store';
import type { TenantLog } from '@tenantry/event-store/tenant-log';
import { DefaultTenantLog } from '@tenantry/event-store/tenant-log-default';
import type { Logger } from '@tenantry/observability/logger';
import { EffectWorker } from '../effect-worker.js';
import { type Effect, EffectHandler } from '../effects.js';
import { Runner } from '../runner.js';
import { type SimulatedBus, SimulatedWakeUps } from './bus.js';
import { account, charging, enter, projections, settle } from './domain.js';
import { SimulatedEffects } from './outbox.js';
import { type Sabotage, SimulatedStorage } from './rows.js';
import { RemoteEventStore } from './store.js';
import type { Tables } from './tables.js';
import type { Process } from './world.js';

/** Somebody else's service: charges once per key, however often it is asked. */
export class Provider {
  /** How often each key was charged. A second charge under one key can't happen here; a second key for one effect can. */
  readonly charged = new Map<string, number>();

  charge(key: string): void {
    this.charged.set(key, (this.charged.get(key) ?? 0) + 1);
  }
}

export interface Surroundings {
  logs: MemoryEventStore;
  tables: Tables;
  bus: SimulatedBus;
  provider: Provider;
  logger: Logger;
  sabotage: Sabotage;
}

// Nothing personal is in these events, and no request of a person: no key is ever asked for.
const noKeys = {} as ConstructorParameters<typeof DefaultTenantLog>[1];
const actor = { kind: 'service', id: 'simulated' } as const;

/** One life of a replica of a service: API, runner and effect worker, all as they are in production. */
export class Node {
  private readonly log: TenantLog;

  constructor(
    readonly process: Process,
    around: Surroundings,
    /** It could not start: as in production its process ends, and is started again. */
    onFailure: () => void,
  ) {
    const { world, scheduler } = process;
    const { logger, tables, sabotage } = around;
    const store = new RemoteEventStore(process, around.logs);
    const log = new DefaultTenantLog(store, noKeys, undefined, (ms) => scheduler.sleep(world.random() * ms));
    this.log = log;
    const worker = new EffectWorker({
      store: new SimulatedEffects(process, tables),
      scheduler,
      handlers: [new ChargeHandler(process, around, log)],
      logger,
      owner: process.name,
    });
    const runner = new Runner({
      service: 'simulated',
      owner: process.name,
      storage: new SimulatedStorage(process, tables, store, sabotage),
      store,
      scheduler,
      logger,
      projections,
      processes: [charging],
      wakeUps: new SimulatedWakeUps(process, around.bus),
      onEffects: () => worker.wake(),
    });
    store.onAppended = (tenantIds) => {
      runner.appended(tenantIds);
      for (const tenantId of tenantIds) around.bus.publish('tenantry.nudge', { tenantId, position: Number.NaN, body: () => '' });
    };
    runner.start().catch(onFailure);
    worker.start();
  }

  /** A request to the API. */
  async enter(tenant: string, stream: string, id: string, count: number): Promise<StoredEvent[]> {
    const { events } = await this.log.transact(account, { tenant, stream, command: { id, actor } }, enter(count));
    return events;
  }
}

class ChargeHandler extends EffectHandler<{ stream: string; attempt: number }> {
  readonly effect = 'charge';

  constructor(
    private readonly process: Process,
    private readonly around: Surroundings,
    private readonly log: TenantLog,
  ) {
    super();
  }

  async run({ id, tenantId, attempt }: Effect<{ stream: string; attempt: number }>): Promise<void> {
    const key = this.around.sabotage.freshEffectKeys ? `${id}-${attempt}` : id;
    await this.process.ask(() => this.around.provider.charge(key));
    await this.log.transact(
      account,
      { tenant: tenantId, stream: `charge-${id}`, command: { id: derivedId('settle', id), actor, causationId: id } },
      settle(key),
    );
  }
}
