import { PLATFORM_LOG, PLATFORM_SECURITY_LOG } from '@tenantry/contracts/ids';
import type { EventStore } from '@tenantry/event-store/port';
import type { Logger } from '@tenantry/observability/logger';
import { Caution } from './caution.js';
import { type Consumer, consumerOf, wakeSubjects } from './consumer.js';
import type { RunnerStorage } from './consumer-rows.js';
import { Failures } from './failures.js';
import { Hints } from './hints.js';
import type { Lane } from './lane.js';
import type { ProcessManager, Projection } from './projection.js';
import type { Scheduler, Timer } from './scheduler.js';
import { type ServiceLaneOptions, serviceLane } from './service-lane.js';
import type { Behind } from './sweep.js';
import { type TenantLaneOptions, tenantLane } from './tenant-lane.js';
import type { WakeUp, WakeUps } from './wake-ups.js';

export interface RunnerParts {
  /** Name of the service: its consumer in the tenants' schemas. */
  service: string;
  storage: RunnerStorage;
  store: EventStore;
  scheduler: Scheduler;
  /** This process, by a name that it has again after a restart: an event that kills it is found and parked. Without it nothing is noted. */
  owner?: string;
  logger: Logger;
  projections: Projection[];
  processes: ProcessManager[];
  /** Wake-ups come from here; without it only `appended` and the sweep wake. */
  wakeUps?: WakeUps;
  /** Called after a commit with effects: wake the effect worker. */
  onEffects?: () => void;
  options?: Partial<RunnerOptions>;
}

export interface RunnerOptions extends ServiceLaneOptions, TenantLaneOptions {
  sweepMs: number;
}

const defaults: RunnerOptions = {
  batch: 32,
  concurrency: 4,
  serviceIntervalMs: 50,
  serviceGapMs: 30,
  tenantIntervalMs: 250,
  tenantDelayMs: 250,
  calm: { lateMs: 25, intervalMs: 20, maxIntervalMs: 80 },
  sweepMs: 5_000,
};
/** Its rows are elsewhere now, with checkpoints of their own. */
const movedSubject = 'tenantry.events.*.tenant.TenantMoved';
/** The step after which a tenant's tables exist. Only a wake-up: whether they do, `withTenant` says. */
const placedSubject = 'tenantry.events.*.tenant.ProvisioningStepCompleted';

/**
 * Keeps a service's read models and process managers up with the logs. One per process. Messages only say *that* a log grew;
 * what happened is read from the log. Several replicas may run: a checkpoint's row decides who applies what.
 */
export class Runner {
  private readonly options: RunnerOptions;
  private readonly hints: Hints;
  private readonly failures: Failures;
  private readonly caution: Caution;
  private readonly service: Lane | null;
  private readonly tenant: Lane | null;
  private readonly subscriptions: (() => void)[] = [];
  private readonly inFlight = new Set<Promise<void>>();
  private readonly timers: Timer[] = [];
  private stopped = true;
  private sweeping: Promise<void> = Promise.resolve();

  constructor(private readonly parts: RunnerParts) {
    this.options = { ...defaults, ...parts.options };
    this.hints = new Hints(parts.storage.hints);
    this.failures = new Failures(parts.storage.parked, parts.scheduler, parts.logger);
    this.caution = new Caution(parts.storage.attempts, parts.owner ?? null, this.failures, parts.scheduler, parts.logger);
    const host = { isStopped: () => this.stopped, track: (running: Promise<void>) => this.track(running) };
    const { failures, caution, hints, options } = this;
    const onEffects = () => this.parts.onEffects?.();
    const passParts = (consumer: Consumer) => ({
      ...parts,
      rows: parts.storage.rows(consumer),
      consumer,
      failures,
      caution,
      hints,
      onEffects,
    });
    const of = (placement: Projection['placement']) => consumerOf(parts.service, placement, parts.projections, parts.processes);
    const [service, tenant] = [of('service'), of('tenant')];
    this.service = service && serviceLane(passParts(service), options, host);
    this.tenant = tenant && tenantLane(passParts(tenant), options, host);
  }

  /** Subscribes, sweeps once over everything, and goes on. Does nothing where the service has neither projections nor processes. */
  async start(): Promise<void> {
    if (!this.service && !this.tenant) return;
    this.stopped = false;
    await this.failures.sync();
    await this.caution.begin();
    this.subscribe();
    const { scheduler } = this.parts;
    this.timers.push(scheduler.setInterval(() => this.flushHints(), 1_000));
    let round = 0;
    const everyMs = this.options.sweepMs;
    // Recently grown logs every time, all of them every twelfth.
    this.timers.push(
      scheduler.setInterval(() => void this.sweep(++round % 12 === 0 ? undefined : Math.max(60_000, everyMs * 12)), everyMs),
    );
    await this.sweep();
  }

  /** Takes nothing new, and waits for what runs. */
  async stop(): Promise<void> {
    this.stopped = true;
    for (const unsubscribe of this.subscriptions.splice(0)) unsubscribe();
    for (const timer of this.timers.splice(0)) timer.cancel();
    for (const lane of this.lanes()) lane.turns.cancel();
    await this.sweeping;
    await Promise.allSettled(this.inFlight);
    await Promise.all([this.hints.flush(), this.caution.end()]).catch((error: unknown) =>
      this.parts.logger.warn({ err: error }, 'Not everything was written at the end'),
    );
  }

  /** The process itself has appended to these logs. */
  appended(tenantIds: string[]): void {
    for (const tenantId of tenantIds) for (const lane of this.lanes()) this.mark(lane, tenantId);
  }

  /** Puts a tenant in front, and resolves when it has been looked at once more, or after `timeoutMs`. */
  async look(placement: Projection['placement'], tenantId: string, timeoutMs: number): Promise<void> {
    const lane = placement === 'service' ? this.service : this.tenant;
    if (!lane || this.stopped) return;
    await lane.turns.look(tenantId, timeoutMs);
  }

  /** Rebuilds one tenant's rows from its log, beside what goes on: the checkpoint's lock is between them. @throws CheckpointLocked, RebuildFailure, Refused */
  async rebuild(consumer: string, tenantId: string): Promise<number> {
    const lane = this.lanes().find((each) => each.consumer.name === consumer);
    if (!lane) throw new Error(`There is no consumer ${consumer} here`);
    // Whatever an operator has had left out so far.
    await this.failures.sync();
    return lane.rebuild(tenantId);
  }

  /** Everything up to here was looked at by this process; -1 where it doesn't know. */
  scannedTo(placement: Projection['placement'], tenantId: string): number {
    return (placement === 'service' ? this.service : this.tenant)?.progress.scannedTo(tenantId) ?? -1;
  }

  private lanes(): Lane[] {
    return [this.service, this.tenant].filter((lane) => lane !== null);
  }

  private mark(lane: Lane, tenantId: string): void {
    if (lane === this.tenant && isPlatformLog(tenantId)) return;
    lane.turns.mark(tenantId);
  }

  private subscribe(): void {
    const { wakeUps } = this.parts;
    if (!wakeUps) return;
    for (const lane of this.lanes()) {
      for (const subject of wakeSubjects(lane.consumer.types)) {
        this.subscriptions.push(wakeUps.subscribe(subject, (wakeUp) => this.woken(lane, wakeUp)));
      }
    }
    const { tenant } = this;
    if (!tenant) return;
    this.subscriptions.push(
      wakeUps.subscribe(placedSubject, ({ tenantId, body }) => {
        if (!body().includes('"isolate"')) return;
        tenant.turns.resume(tenantId);
        tenant.turns.schedule();
      }),
      wakeUps.subscribe(movedSubject, ({ tenantId }) => {
        tenant.forget(tenantId);
        this.mark(tenant, tenantId);
      }),
    );
  }

  private woken(lane: Lane, { tenantId, position }: WakeUp): void {
    // Our own appends are often applied before their message comes. (A forged position could only keep its own message from waking us.)
    if (lane.progress.scannedTo(tenantId) >= position) return;
    this.mark(lane, tenantId);
  }

  private sweep(withinMs?: number): Promise<void> {
    this.sweeping = this.sweeping.then(async () => {
      try {
        await this.hints.flush();
        this.release(await this.failures.sync());
        for (const lane of this.lanes()) {
          for await (const page of this.parts.storage.hints.behind(lane.consumer.name, lane.consumer.version, withinMs)) {
            if (this.stopped) return;
            this.takeUp(lane, page);
          }
        }
      } catch (error) {
        this.parts.logger.warn({ err: error }, 'The sweep will be tried again');
      }
    });
    return this.sweeping;
  }

  /** Operators want these to be tried again. */
  private release(tenants: { consumer: string; tenantId: string }[]): void {
    for (const lane of this.lanes()) {
      for (const { consumer, tenantId } of tenants) if (consumer === lane.consumer.name) lane.turns.release(tenantId);
      lane.turns.schedule();
    }
  }

  private takeUp(lane: Lane, page: Behind[]): void {
    for (const { tenantId, head, moved } of page) {
      const known = lane.progress.get(tenantId);
      if (moved) lane.forget(tenantId);
      else if (known?.scannedTo === head) {
        this.hints.note(lane.consumer.name, tenantId, {
          version: lane.consumer.version,
          generation: known.generation ?? 0,
          position: head,
        });
        continue;
      }
      this.mark(lane, tenantId);
      lane.turns.resume(tenantId);
    }
    lane.turns.schedule();
  }

  private flushHints(): void {
    this.hints.flush().catch((error: unknown) => this.parts.logger.warn({ err: error }, 'Hints were not written'));
  }

  private track(running: Promise<void>): void {
    this.inFlight.add(running);
    void running.finally(() => this.inFlight.delete(running));
  }
}

const isPlatformLog = (tenantId: string) => tenantId === PLATFORM_LOG || tenantId === PLATFORM_SECURITY_LOG;
