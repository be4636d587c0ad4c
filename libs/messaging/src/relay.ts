import type { EventStore } from '@tenantry/event-store/port';
import type { Logger } from '@tenantry/observability/logger';
import type { ReadLimits } from './backlog-reader.js';
import { backoffMs } from './backoff.js';
import type { Broker } from './broker.js';
import { DirtyQueue, type Outcome } from './dirty-queue.js';
import { MissingGuarantee } from './event-stream.js';
import { Leases, type LeaseTable } from './leases.js';
import { LogPublisher } from './log-publisher.js';
import { PublishedPositions } from './published-positions.js';
import type { RelayStorage } from './relay-storage.js';
import { type Scheduler, SystemScheduler, type Timer } from './scheduler.js';
import type { SendLimits } from './send-in-order.js';
import { StreamGuard } from './stream-guard.js';

export interface RelayParts {
  store: EventStore;
  broker: Broker;
  storage: RelayStorage;
  leases: LeaseTable;
  logger: Logger;
  /** Unique per process. */
  owner: string;
  scheduler?: Scheduler;
  options?: Partial<RelayOptions>;
}
export interface RelayOptions extends ReadLimits, SendLimits {
  /** Logs of one round. */
  logsPerRound: number;
  /** Rounds under way at once: while one waits for the broker, another reads. */
  rounds: number;
  pollMs: number;
  /** Between two looks at the stream while nothing looks wrong. */
  lookMs: number;
  /** From the end of one round to the begin of the next. */
  gapMs: number;
  leaseMs: number;
}
const defaults: RelayOptions = {
  logsPerRound: 32,
  rounds: 2,
  eventsPerLog: 128,
  eventsUnmeasured: 4,
  maxReadBytes: 4 * 1024 * 1024,
  maxPendingMessages: 512,
  maxPendingBytes: 4 * 1024 * 1024,
  pollMs: 1_000,
  lookMs: 2_000,
  gapMs: 15,
  leaseMs: 10_000,
};

/** How a relay is doing since its start. */
export interface RelayCounts {
  published: number;
  /** Of those, under an id of their own: again, or because the plain id was taken. */
  republished: number;
  /** Logs that have something to publish, as far as this relay knows. */
  waiting: number;
  epoch: number;
}

/**
 * Publishes each log to the broker, in its order, from its published position on. Nudged by appenders; a poll is the safety net.
 * A message that was published and not recorded is published again with the same id, which the stream drops; what the stream has lost
 * is published again under another id. Several relays share the logs by leases.
 */
export class Relay {
  private readonly options: RelayOptions;
  private readonly scheduler: Scheduler;
  private readonly leases: Leases;
  private readonly guard: StreamGuard;
  private readonly published: PublishedPositions;
  private readonly queue = new DirtyQueue(0, 0);
  private readonly publisher: LogPublisher;
  private readonly random = () => this.scheduler.random();
  private endNudges: (() => void) | undefined;
  private timers: Timer[] = [];
  private pumpTimer: Timer | undefined;
  private readonly rounds = new Set<Promise<void>>();
  private looking = false;
  private polling: Promise<void> | null = null;
  private leasing: Promise<void> | null = null;
  private failures = 0;
  private notBeforeMs = 0;
  private lookDue = true;
  private stopped = true;

  constructor(private readonly parts: RelayParts) {
    this.options = { ...defaults, ...parts.options };
    this.scheduler = parts.scheduler ?? new SystemScheduler();
    this.leases = new Leases(parts.leases, parts.owner, this.scheduler, this.options.leaseMs);
    this.published = new PublishedPositions(parts.storage);
    const { leases, scheduler, published, options } = this;
    this.guard = new StreamGuard({ ...parts, leases, scheduler });
    this.publisher = new LogPublisher({
      ...parts,
      leases,
      scheduler,
      published,
      options,
      guard: this.guard,
      lookDue: () => {
        this.lookDue = true;
      },
      holdMs: () => backoffMs(this.failures + 1, 100, 5_000, this.random),
    });
  }

  /** Waits up to a minute for a broker that isn't ready. @throws MissingGuarantee where it doesn't keep what the stream needs */
  async start(): Promise<void> {
    await this.untilStreamIsThere();
    this.stopped = false;
    await this.leases.renew();
    this.endNudges = this.parts.broker.onNudge((tenantIds) => {
      for (const tenantId of tenantIds) this.mark(tenantId);
      this.schedule();
    });
    let polls = 0;
    this.timers = [
      this.scheduler.setInterval(() => void this.renewLeases(), this.options.leaseMs / 3),
      // Recently grown logs every time, all of them every thirtieth.
      this.scheduler.setInterval(() => void this.poll(++polls % 30 === 0 ? undefined : 60_000), this.options.pollMs),
      this.scheduler.setInterval(() => {
        this.lookDue = true;
        this.schedule();
      }, this.options.lookMs),
    ];
    await this.poll();
  }

  /** Waits for what is under way, and gives the leases up. */
  async stop(): Promise<void> {
    if (this.stopped) return;
    this.stopped = true;
    this.endNudges?.();
    for (const timer of this.timers) this.scheduler.clearInterval(timer);
    this.scheduler.clearTimeout(this.pumpTimer);
    await Promise.all([...this.rounds, this.polling, this.leasing]);
    await this.leases.release();
  }

  measure(): RelayCounts {
    return { ...this.publisher.counts, waiting: this.queue.size, epoch: this.guard.epoch };
  }

  /** null while it publishes; else why it doesn't. */
  trouble(): string | null {
    if (this.stopped) return 'it is not running';
    if (this.failures >= 3) return 'nothing can be published';
    return null;
  }

  private async untilStreamIsThere(): Promise<void> {
    const endMs = this.scheduler.nowMs() + 60_000;
    for (let attempt = 1; ; attempt++) {
      try {
        await this.parts.broker.ensureStream();
        return;
      } catch (error) {
        if (error instanceof MissingGuarantee || this.scheduler.nowMs() > endMs) throw error;
        this.parts.logger.warn({ err: error, attempt }, 'The event stream is not there yet');
        await this.scheduler.sleep(backoffMs(attempt, 200, 2_000, this.random));
      }
    }
  }

  private mark(tenantId: string): void {
    if (this.leases.owns(tenantId)) this.queue.mark(tenantId, this.scheduler.nowMs());
  }

  private schedule(): void {
    if (this.stopped || this.looking) return;
    const nowMs = this.scheduler.nowMs();
    const look = this.lookDue || this.guard.urgent;
    // The stream is looked at while nothing is under way.
    if (this.rounds.size >= (look ? 1 : this.options.rounds)) return;
    const inMs = look ? 0 : this.queue.nextInMs(nowMs);
    if (inMs === null) return;
    this.scheduler.clearTimeout(this.pumpTimer);
    // A round costs the same for one log as for many: the next one waits a little for more of them.
    const waitMs = Math.max(inMs, this.notBeforeMs - nowMs);
    if (waitMs > 0) {
      this.pumpTimer = this.scheduler.setTimeout(() => this.schedule(), Math.ceil(waitMs));
      return;
    }
    this.looking = look;
    const round: Promise<void> = (look ? this.lookAtStream() : this.runRound()).finally(() => {
      this.rounds.delete(round);
      if (look) this.looking = false;
      this.schedule();
    });
    this.rounds.add(round);
    // While one round waits for the broker, another reads.
    if (!look) this.schedule();
  }

  /** Never rejects. */
  private async runRound(): Promise<void> {
    const taken = this.queue.take(this.options.logsPerRound, this.scheduler.nowMs());
    try {
      const done = await this.publisher.publish(taken);
      for (const tenantId of taken) this.settle(tenantId, done.get(tenantId) ?? { next: 'idle' });
      const outcomes = [...done.values()];
      this.failures = outcomes.some(({ next }) => next === 'hold') ? this.failures + 1 : 0;
      // Where there is more to do, nothing is gained by waiting.
      const more = outcomes.some((outcome) => outcome.next === 'again' && outcome.delayMs === undefined);
      this.notBeforeMs = Math.max(this.notBeforeMs, this.scheduler.nowMs() + (more ? 0 : this.options.gapMs));
    } catch (error) {
      const delayMs = this.failed(error);
      // What was published and not recorded goes out again from the recorded position on.
      this.published.forget(taken);
      for (const tenantId of taken) this.settle(tenantId, { next: 'hold', delayMs });
    }
  }

  private failed(error: unknown): number {
    const delayMs = backoffMs(++this.failures, 100, 2_000, this.random);
    this.parts.logger.warn({ delayMs, err: error }, 'Publishing will be tried again');
    this.lookDue = true;
    this.notBeforeMs = this.scheduler.nowMs() + delayMs;
    return delayMs;
  }

  private settle(tenantId: string, outcome: Outcome): void {
    this.queue.done(tenantId, outcome, this.scheduler.nowMs());
  }

  /** Never rejects. */
  private async lookAtStream(): Promise<void> {
    try {
      const { forget, unrecorded, lost } = await this.guard.look();
      this.lookDue = false;
      if (forget) this.published.forgetAll();
      this.published.found(unrecorded);
      for (const tenantId of lost) this.mark(tenantId);
      if (forget) void this.poll();
    } catch (error) {
      this.failed(error);
    }
  }

  private poll(withinMs?: number): Promise<void> {
    this.polling ??= this.markBehind(withinMs)
      .catch((error: unknown) => this.parts.logger.warn({ err: error }, 'The poll will be tried again'))
      .finally(() => {
        this.polling = null;
      });
    return this.polling;
  }

  private async markBehind(withinMs?: number): Promise<void> {
    for await (const page of this.parts.storage.behind(withinMs)) {
      for (const { tenantId, head } of page) {
        const known = this.published.known(tenantId);
        if (known?.published.position !== head || known.renewals.length > 0) this.mark(tenantId);
      }
      if (this.stopped) return;
    }
    this.schedule();
  }

  private renewLeases(): Promise<void> {
    this.leasing ??= this.leases
      .renew()
      .then(async (gained) => {
        if (!gained) return;
        // Somebody else may have published on since we last had them.
        this.guard.gainedBuckets();
        this.lookDue = true;
        this.schedule();
      })
      .catch((error: unknown) => this.parts.logger.warn({ err: error }, 'Leases could not be renewed'))
      .finally(() => {
        this.leasing = null;
      });
    return this.leasing;
  }
}
