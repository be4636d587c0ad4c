import { PLATFORM_LOG, PLATFORM_SECURITY_LOG } from '@tenantry/contracts/ids';
import type { EventStore } from '@tenantry/event-store/port';
import type { Logger } from '@tenantry/observability/logger';
import { errorText } from '@tenantry/observability/redact';
import { Caution } from './caution.js';
import { type Consumer, consumerOf, wakeSubjects } from './consumer.js';
import type { RunnerStorage } from './consumer-rows.js';
import { type Calm, DirtyQueue, type Outcome } from './dirty-queue.js';
import { Failures } from './failures.js';
import { Hints } from './hints.js';
import type { Progress } from './progress.js';
import type { ProcessManager, Projection } from './projection.js';
import type { Scheduler, Timer } from './scheduler.js';
import { ServicePass } from './service-pass.js';
import type { Behind } from './sweep.js';
import { TenantPass, type TenantWork } from './tenant-pass.js';
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

export interface RunnerOptions {
  /** Tenants of one pass over the service's own rows. */
  batch: number;
  /** Tenants whose own schemas are written at once. */
  concurrency: number;
  /** At least this long from one pass over a tenant to its next, unless somebody waits for it. */
  serviceIntervalMs: number;
  /** From the start of one pass over the service's own rows to the next: tenants that become dirty one after the other go together. */
  serviceGapMs: number;
  tenantIntervalMs: number;
  /** From the first wake-up of a tenant to the pass over its own schema, where many have something to do: what follows goes along. */
  tenantDelayMs: number;
  /** While all that is due in the tenants' schemas is done at once, a tenant's first event is applied without that delay. */
  calm: Calm;
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
/** So long a tenant's pass has a slot; and so many may go on without one. */
const overtimeMs = 1_000;
const maxOvertime = 4;
/** Its rows are elsewhere now, with checkpoints of their own. */
const movedSubject = 'tenantry.events.*.tenant.TenantMoved';
/** The step after which a tenant's tables exist. Only a wake-up: whether they do, `withTenant` says. */
const placedSubject = 'tenantry.events.*.tenant.ProvisioningStepCompleted';

interface Lane {
  /** One tenant's rows, now. Gives the number of events. */
  rebuild: (tenantId: string) => Promise<number>;
  consumer: Consumer;
  queue: DirtyQueue;
  /** What this process believes of the tenant is wrong: its checkpoint has to be read. */
  forget: (tenantId: string) => void;
  progress: Progress;
  pump: () => void;
  timer?: Timer;
  /** No pass begins before this. */
  notBeforeMs: number;
  /** Of whoever waits for a tenant to be looked at. */
  waiters: Map<string, Set<() => void>>;
}

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
    this.service = this.serviceLane();
    this.tenant = this.tenantLane();
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
    for (const lane of this.lanes()) lane.timer?.cancel();
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
    await new Promise<void>((resolve) => {
      const waiters = lane.waiters.get(tenantId) ?? new Set();
      lane.waiters.set(tenantId, waiters);
      const done = () => {
        timer.cancel();
        waiters.delete(done);
        resolve();
      };
      const timer = this.parts.scheduler.setTimeout(done, timeoutMs);
      waiters.add(done);
      lane.queue.mark(tenantId, this.nowMs(), { urgent: true });
      this.schedule(lane);
    });
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

  private nowMs(): number {
    return this.parts.scheduler.nowMs();
  }

  private lanes(): Lane[] {
    return [this.service, this.tenant].filter((lane) => lane !== null);
  }

  private serviceLane(): Lane | null {
    const { service, projections, processes, storage } = this.parts;
    const consumer = consumerOf(service, 'service', projections, processes);
    if (!consumer) return null;
    const pass = new ServicePass({
      ...this.parts,
      rows: storage.rows(consumer),
      consumer,
      failures: this.failures,
      caution: this.caution,
      hints: this.hints,
      onEffects: () => this.parts.onEffects?.(),
    });
    let running = false;
    const lane: Lane = {
      consumer,
      queue: new DirtyQueue(0, this.options.serviceIntervalMs),
      progress: pass.progress,
      rebuild: (tenantId) => pass.rebuildNow(tenantId, 'requested'),
      forget: (tenantId) => pass.progress.forget(tenantId),
      waiters: new Map(),
      notBeforeMs: 0,
      // One pass at a time: what becomes dirty meanwhile is the next batch.
      pump: () => {
        const nowMs = this.nowMs();
        if (running || this.stopped) return;
        if (nowMs < lane.notBeforeMs) return this.schedule(lane);
        const tenantIds = lane.queue.take(this.options.batch, nowMs);
        if (tenantIds.length === 0) return this.schedule(lane);
        running = true;
        lane.notBeforeMs = tenantIds.length === this.options.batch ? nowMs : nowMs + this.options.serviceGapMs;
        this.track(
          pass
            .run(tenantIds)
            .catch((error: unknown) => this.unexpected(error, tenantIds))
            .then((outcomes) => {
              running = false;
              for (const tenantId of tenantIds) this.settle(lane, tenantId, outcomes.get(tenantId) ?? { next: 'again', delayMs: 1_000 });
              lane.pump();
            }),
        );
      },
    };
    return lane;
  }

  private tenantLane(): Lane | null {
    const { service, projections, processes, storage } = this.parts;
    const consumer = consumerOf(service, 'tenant', projections, processes);
    if (!consumer) return null;
    const pass = new TenantPass({
      ...this.parts,
      rows: storage.rows(consumer),
      consumer,
      failures: this.failures,
      caution: this.caution,
      hints: this.hints,
    });
    const ready: TenantWork[] = [];
    let reading = false;
    let running = 0;
    let overtime = 0;
    // A tenant that takes long (its database is silent, or a rebuild) gives its slot away, so that others don't wait behind it.
    const holdSlot = () => {
      let held = true;
      running += 1;
      const timer = this.parts.scheduler.setTimeout(() => {
        if (overtime >= maxOvertime) return;
        held = false;
        running -= 1;
        overtime += 1;
        lane.pump();
      }, overtimeMs);
      return () => {
        timer.cancel();
        if (held) running -= 1;
        else overtime -= 1;
      };
    };
    const read = async (tenantIds: string[]) => {
      const { work, outcomes } = await pass.read(tenantIds);
      ready.push(...work);
      const withWork = new Set(work.map(({ tenantId }) => tenantId));
      for (const tenantId of tenantIds) {
        if (!withWork.has(tenantId)) this.settle(lane, tenantId, outcomes.get(tenantId) ?? { next: 'again', delayMs: 1_000 });
      }
    };
    const lane: Lane = {
      consumer,
      queue: new DirtyQueue(this.options.tenantDelayMs, this.options.tenantIntervalMs, this.options.calm),
      progress: pass.progress,
      rebuild: (tenantId) => pass.rebuildNow(tenantId),
      forget: (tenantId) => pass.forget(tenantId),
      waiters: new Map(),
      notBeforeMs: 0,
      // Reading is for many at once; writing is one transaction per tenant, some at a time, so that a slow one holds up nobody else.
      pump: () => {
        if (this.stopped) return;
        while (running < this.options.concurrency && ready.length > 0) {
          const work = ready.shift() as TenantWork;
          const free = holdSlot();
          this.track(
            pass
              .run(work)
              .catch((error: unknown) => this.unexpected(error, [work.tenantId]).get(work.tenantId) as Outcome)
              .then((outcome) => {
                free();
                this.settle(lane, work.tenantId, outcome);
                lane.pump();
              }),
          );
        }
        if (reading || ready.length > 0) return;
        const tenantIds = lane.queue.take(this.options.batch, this.nowMs());
        if (tenantIds.length === 0) return this.schedule(lane);
        reading = true;
        this.track(
          read(tenantIds)
            .catch((error: unknown) => {
              for (const [tenantId, outcome] of this.unexpected(error, tenantIds)) this.settle(lane, tenantId, outcome);
            })
            .then(() => {
              reading = false;
              lane.pump();
            }),
        );
      },
    };
    return lane;
  }

  private mark(lane: Lane, tenantId: string): void {
    if (lane === this.tenant && isPlatformLog(tenantId)) return;
    lane.queue.mark(tenantId, this.nowMs());
    this.schedule(lane);
  }

  /** Pumps when something is due. Never sooner than the current turn's end, so that wake-ups that come together are taken together. */
  private schedule(lane: Lane): void {
    if (this.stopped) return;
    const inMs = lane.queue.nextInMs(this.nowMs());
    if (inMs === null) return;
    lane.timer?.cancel();
    lane.timer = this.parts.scheduler.setTimeout(lane.pump, Math.ceil(Math.max(inMs, lane.notBeforeMs - this.nowMs())));
  }

  private settle(lane: Lane, tenantId: string, outcome: Outcome): void {
    lane.queue.done(tenantId, outcome, this.nowMs());
    const waiters = lane.waiters.get(tenantId);
    if (!waiters) return;
    lane.waiters.delete(tenantId);
    for (const done of waiters) done();
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
        tenant.queue.resume(tenantId, this.nowMs());
        this.schedule(tenant);
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
      for (const { consumer, tenantId } of tenants) if (consumer === lane.consumer.name) lane.queue.release(tenantId, this.nowMs());
      this.schedule(lane);
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
      lane.queue.resume(tenantId, this.nowMs());
    }
    this.schedule(lane);
  }

  private flushHints(): void {
    this.hints.flush().catch((error: unknown) => this.parts.logger.warn({ err: error }, 'Hints were not written'));
  }

  private unexpected(error: unknown, tenantIds: string[]): Map<string, Outcome> {
    const text = errorText(error);
    this.parts.logger.error({ tenants: tenantIds.length, error: text }, 'A pass failed');
    return new Map(tenantIds.map((tenantId) => [tenantId, { next: 'hold', delayMs: 1_000 }]));
  }

  private track(running: Promise<void>): void {
    this.inFlight.add(running);
    void running.finally(() => this.inFlight.delete(running));
  }
}

const isPlatformLog = (tenantId: string) => tenantId === PLATFORM_LOG || tenantId === PLATFORM_SECURITY_LOG;
