import { type JetStreamClient, jetstream } from '@nats-io/jetstream';
import type { NatsConnection, Subscription } from '@nats-io/transport-node';
import type { StoredEvent } from '@tenantry/contracts/events';
import type { EventStore } from '@tenantry/event-store/port';
import { faultPoint } from '@tenantry/observability/fault';
import type { Logger } from '@tenantry/observability/logger';
import type { Pool } from 'pg';
import { backoffMs } from './backoff.js';
import { headersOf, messageIdOf, subjectOf } from './cloud-event.js';
import { DirtyQueue, type Outcome } from './dirty-queue.js';
import { ensureEventStream, MissingGuarantee } from './event-stream.js';
import { Leases } from './leases.js';
import { PublishedPositions } from './published-positions.js';
import { type Scheduler, SystemScheduler, type Timer } from './scheduler.js';
import { Sweep } from './sweep.js';

export interface RelayParts {
  pool: Pool;
  schema: string;
  store: EventStore;
  nats: NatsConnection;
  logger: Logger;
  /** Unique per process. */
  owner: string;
  /** Of the JetStream stream: 1 locally, 3 in a cluster. */
  streamReplicas: number;
  scheduler?: Scheduler;
  options?: Partial<RelayOptions>;
}
export interface RelayOptions {
  /** Logs read in one round trip, and events read of each. */
  logsPerRound: number;
  eventsPerLog: number;
  /** Bytes and messages that are under way to the broker at once. */
  maxPendingMessages: number;
  maxPendingBytes: number;
  pollMs: number;
  /** From the end of one round to the begin of the next. */
  gapMs: number;
  leaseMs: number;
  publishTimeoutMs: number;
}
const defaults: RelayOptions = {
  logsPerRound: 64,
  eventsPerLog: 100,
  maxPendingMessages: 512,
  maxPendingBytes: 4 * 1024 * 1024,
  pollMs: 1_000,
  gapMs: 15,
  leaseMs: 10_000,
  publishTimeoutMs: 5_000,
};
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/**
 * Publishes each log to NATS, in its order, from its published position on. Nudged by appenders; a poll is the safety net.
 * A message that was published and not recorded is published again with the same id, which the stream drops.
 * Several relays share the logs by leases.
 */
export class Relay {
  private readonly options: RelayOptions;
  private readonly scheduler: Scheduler;
  private readonly leases: Leases;
  private readonly published: PublishedPositions;
  private readonly sweep: Sweep;
  private readonly queue = new DirtyQueue(0, 0);
  private readonly encoder = new TextEncoder();
  private readonly broker: JetStreamClient;
  private subscription: Subscription | undefined;
  private timers: Timer[] = [];
  private pumpTimer: Timer | undefined;
  private round: Promise<void> | null = null;
  private polling: Promise<void> | null = null;
  private leasing: Promise<void> | null = null;
  private readonly random = () => this.scheduler.random();
  private failures = 0;
  private endedMs = 0;
  private stopped = true;

  constructor(private readonly parts: RelayParts) {
    this.options = { ...defaults, ...parts.options };
    this.scheduler = parts.scheduler ?? new SystemScheduler();
    this.leases = new Leases(parts.pool, parts.schema, parts.owner, this.scheduler, this.options.leaseMs);
    this.published = new PublishedPositions(parts.pool, parts.schema, parts.nats);
    this.sweep = new Sweep(parts.pool, this.published.table, '', []);
    this.broker = jetstream(parts.nats, { timeout: this.options.publishTimeoutMs });
  }

  /** Waits up to a minute for a broker that isn't ready. @throws MissingGuarantee where it doesn't keep what the stream needs */
  async start(): Promise<void> {
    await this.untilStreamIsThere();
    this.stopped = false;
    await this.leases.renew();
    this.subscription = this.parts.nats.subscribe('tenantry.nudge', {
      callback: (error, message) => {
        if (error) this.parts.logger.warn({ err: error }, 'Nudges are refused');
        else this.nudged(message.string());
      },
    });
    let polls = 0;
    this.timers = [
      this.scheduler.setInterval(() => void this.renewLeases(), this.options.leaseMs / 3),
      // Recently grown logs every time, all of them every thirtieth.
      this.scheduler.setInterval(() => void this.poll(++polls % 30 === 0 ? undefined : 60_000), this.options.pollMs),
    ];
    await this.poll();
  }

  /** Waits for what is under way, and gives the leases up. */
  async stop(): Promise<void> {
    if (this.stopped) return;
    this.stopped = true;
    this.subscription?.unsubscribe();
    for (const timer of this.timers) this.scheduler.clearInterval(timer);
    this.scheduler.clearTimeout(this.pumpTimer);
    await Promise.all([this.round, this.polling, this.leasing]);
    await this.leases.release();
  }

  private async untilStreamIsThere(): Promise<void> {
    const endMs = this.scheduler.nowMs() + 60_000;
    for (let attempt = 1; ; attempt++) {
      try {
        return await ensureEventStream(this.parts.nats, this.parts.streamReplicas);
      } catch (error) {
        if (error instanceof MissingGuarantee || this.scheduler.nowMs() > endMs) throw error;
        this.parts.logger.warn({ err: error, attempt }, 'The event stream is not there yet');
        await this.scheduler.sleep(backoffMs(attempt, 200, 2_000, this.random));
      }
    }
  }

  private nudged(body: string): void {
    let tenants: unknown;
    try {
      tenants = (JSON.parse(body) as { tenants?: unknown }).tenants;
    } catch {
      this.parts.logger.warn({ bytes: body.length }, 'A nudge could not be read');
    }
    if (!Array.isArray(tenants)) return;
    for (const tenantId of tenants) if (typeof tenantId === 'string' && uuid.test(tenantId)) this.mark(tenantId);
    this.schedule();
  }

  private mark(tenantId: string): void {
    if (this.leases.owns(tenantId)) this.queue.mark(tenantId, this.scheduler.nowMs());
  }

  private schedule(): void {
    if (this.stopped || this.round) return;
    const inMs = this.queue.nextInMs(this.scheduler.nowMs());
    if (inMs === null) return;
    this.scheduler.clearTimeout(this.pumpTimer);
    // A round costs the same for one log as for many: the next one waits a little for more of them.
    const waitMs = Math.max(inMs, this.endedMs + this.options.gapMs - this.scheduler.nowMs());
    if (waitMs > 0) this.pumpTimer = this.scheduler.setTimeout(() => this.schedule(), Math.ceil(waitMs));
    else {
      this.round = this.publishRound().finally(() => {
        this.round = null;
        this.endedMs = this.scheduler.nowMs();
        this.schedule();
      });
    }
  }

  private async publishRound(): Promise<void> {
    const taken = this.queue.take(this.options.logsPerRound, this.scheduler.nowMs());
    const settle = (tenantId: string, outcome: Outcome) => this.queue.done(tenantId, outcome, this.scheduler.nowMs());
    for (const tenantId of taken) if (!this.leases.owns(tenantId)) settle(tenantId, { next: 'idle' });
    const mine = taken.filter((tenantId) => this.leases.owns(tenantId));
    if (mine.length === 0) return;
    try {
      await this.published.learn(mine);
      const requests = mine.map((tenantId) => ({ tenantId, from: this.published.get(tenantId) + 1 }));
      const slices = await this.parts.store.readLogs(requests, { limit: this.options.eventsPerLog });
      const reached = await this.publishInOrder([...slices.values()].flatMap(({ events }) => events));
      if (reached.size > 0) {
        await faultPoint('publish.done');
        await this.published.record(reached);
        await faultPoint('publish.recorded');
      }
      let unacknowledged = 0;
      for (const tenantId of mine) {
        const slice = slices.get(tenantId);
        const wanted = slice?.events.at(-1)?.position;
        const all = wanted === undefined || reached.get(tenantId) === wanted;
        if (!all) unacknowledged += 1;
        if (!all) settle(tenantId, { next: 'hold', delayMs: backoffMs(this.failures + 1, 100, 5_000, this.random) });
        else settle(tenantId, slice && slice.scannedTo < slice.head ? { next: 'again' } : { next: 'idle' });
      }
      this.failures = unacknowledged > 0 ? this.failures + 1 : 0;
      if (this.failures >= 3) await this.repairStream();
    } catch (error) {
      const delayMs = backoffMs(++this.failures, 100, 5_000, this.random);
      this.parts.logger.warn({ logs: mine.length, delayMs, err: error }, 'Publishing will be tried again');
      // What was published and not recorded goes out again from the recorded position on.
      this.published.forget(mine);
      for (const tenantId of mine) settle(tenantId, { next: 'hold', delayMs });
    }
  }

  /** Nothing is acknowledged: the broker may have lost its disk, and the stream with it. */
  private async repairStream(): Promise<void> {
    await ensureEventStream(this.parts.nats, this.parts.streamReplicas).catch((error: unknown) =>
      this.parts.logger.warn({ err: error }, 'The event stream could not be looked at'),
    );
  }

  /**
   * Sends without waiting for each acknowledgement, up to the limits of what may be under way. Where one isn't acknowledged, the log
   * has reached the event before it, and the rest of the log isn't sent in this round.
   */
  private async publishInOrder(events: StoredEvent[]): Promise<Map<string, number>> {
    const reached = new Map<string, number>();
    const broken = new Set<string>();
    let pending: Promise<void>[] = [];
    let bytes = 0;
    for (const event of events) {
      if (broken.has(event.tenantId)) continue;
      const body = this.encoder.encode(JSON.stringify(event.data));
      if (pending.length >= this.options.maxPendingMessages || bytes + body.length > this.options.maxPendingBytes) {
        await Promise.all(pending);
        pending = [];
        bytes = 0;
        if (broken.has(event.tenantId)) continue;
      }
      bytes += body.length;
      pending.push(
        this.broker.publish(subjectOf(event), body, { msgID: messageIdOf(event), headers: headersOf(event) }).then(
          () => {
            if (!broken.has(event.tenantId)) reached.set(event.tenantId, event.position);
          },
          (error: unknown) => {
            if (!broken.has(event.tenantId)) {
              this.parts.logger.warn({ tenantId: event.tenantId, position: event.position, err: error }, 'An event was not acknowledged');
            }
            broken.add(event.tenantId);
          },
        ),
      );
    }
    await Promise.all(pending);
    return reached;
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
    for await (const page of this.sweep.behind(withinMs)) {
      for (const { tenantId, head } of page) if (this.published.known(tenantId) !== head) this.mark(tenantId);
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
        this.published.forgetAll();
        await this.poll();
      })
      .catch((error: unknown) => this.parts.logger.warn({ err: error }, 'Leases could not be renewed'))
      .finally(() => {
        this.leasing = null;
      });
    return this.leasing;
  }
}
