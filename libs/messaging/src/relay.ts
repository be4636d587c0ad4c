import type { StoredEvent } from '@tenantry/contracts/events';
import type { EventStore, LogSlice } from '@tenantry/event-store/port';
import { faultPoint } from '@tenantry/observability/fault';
import type { Logger } from '@tenantry/observability/logger';
import { relayed } from '@tenantry/observability/metrics';
import { backoffMs } from './backoff.js';
import type { Broker, OutgoingMessage, StoredMessage } from './broker.js';
import { DirtyQueue, type Outcome } from './dirty-queue.js';
import { MissingGuarantee } from './event-stream.js';
import { Leases, type LeaseTable } from './leases.js';
import { advanced, type LogState, messageIdIn, nextPart } from './log-state.js';
import { PublishedPositions } from './published-positions.js';
import type { Advance, RelayStorage, Renewed } from './relay-storage.js';
import { type Scheduler, SystemScheduler, type Timer } from './scheduler.js';
import { type SendWatch, type Sent, sendInOrder } from './send-in-order.js';
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
export interface RelayOptions {
  /** Logs read in one round trip, and events read of each. */
  logsPerRound: number;
  eventsPerLog: number;
  /** Of a log that isn't known to have a backlog so many are read, however long they are. */
  eventsUnmeasured: number;
  /** Of all logs in a round together; one event of each is read all the same. */
  maxReadBytes: number;
  /** Rounds under way at once: while one waits for the broker, another reads. */
  rounds: number;
  /** Messages and bytes that are under way to the broker at once. */
  maxPendingMessages: number;
  maxPendingBytes: number;
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
  private readonly encoder = new TextEncoder();
  private readonly random = () => this.scheduler.random();
  private readonly watch: SendWatch = {
    allowed: (tenantId) => this.guard.allows(tenantId),
    marked: () => this.guard.highest,
    acknowledged: (acknowledgement, mark) => this.guard.wasAcknowledged(acknowledgement, mark),
  };
  private endNudges: (() => void) | undefined;
  private timers: Timer[] = [];
  private pumpTimer: Timer | undefined;
  private readonly rounds = new Set<Promise<void>>();
  private looking = false;
  /** Logs of which more than one read is waiting. */
  private readonly backlogs = new Set<string>();
  private polling: Promise<void> | null = null;
  private leasing: Promise<void> | null = null;
  private failures = 0;
  private notBeforeMs = 0;
  private lookDue = true;
  private stopped = true;
  private readonly counts = { published: 0, republished: 0 };

  constructor(private readonly parts: RelayParts) {
    this.options = { ...defaults, ...parts.options };
    this.scheduler = parts.scheduler ?? new SystemScheduler();
    this.leases = new Leases(parts.leases, parts.owner, this.scheduler, this.options.leaseMs);
    this.published = new PublishedPositions(parts.storage);
    this.guard = new StreamGuard({ ...parts, leases: this.leases, scheduler: this.scheduler });
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
    return { ...this.counts, waiting: this.queue.size, epoch: this.guard.epoch };
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
      const done = await this.publishLogs(taken);
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

  private async publishLogs(taken: string[]): Promise<Map<string, Outcome>> {
    const { storage, owner } = this.parts;
    const outcomes = new Map<string, Outcome>();
    const hold = (tenantId: string) => {
      this.published.forget([tenantId]);
      outcomes.set(tenantId, { next: 'hold', delayMs: backoffMs(this.failures + 1, 100, 5_000, this.random) });
    };
    const mine = taken.filter((tenantId) => this.leases.owns(tenantId));
    // A bucket that was gained just now is looked through before anything of it is published.
    const allowed = mine.filter((tenantId) => this.guard.allows(tenantId));
    if (allowed.length < mine.length) this.lookDue = true;
    for (const tenantId of mine) outcomes.set(tenantId, { next: 'again', delayMs: 100 });
    if (allowed.length === 0) return outcomes;
    const rewritten = await this.published.learn(allowed, this.guard.epoch, owner);
    if (rewritten.length > 0) {
      this.guard.suspect('the history of a log was rewritten');
      return outcomes;
    }
    const parts = new Map(
      allowed.flatMap((tenantId) => {
        const state = this.published.known(tenantId);
        return state ? [[tenantId, { state, ...nextPart(state) }] as const] : [];
      }),
    );
    const requests = [...parts].map(([tenantId, { from }]) => ({ tenantId, from }));
    const slices = await this.read(requests);
    if ([...parts].some(([tenantId, { state }]) => (slices.get(tenantId)?.head ?? -1) < state.published.position)) {
      this.guard.suspect('a log ends before what was published of it');
      return outcomes;
    }
    const due = new Map<string, StoredEvent[]>();
    for (const [tenantId, { through }] of parts) {
      due.set(tenantId, slices.get(tenantId)?.events.filter(({ position }) => position <= through) ?? []);
    }
    const sent = await sendInOrder(this.parts.broker, this.messages(due, parts), this.watch, this.options);

    const advances: Advance[] = [];
    const renewed: Renewed[] = [];
    const reached = new Map<string, LogState>();
    let top: StoredMessage | null = null;
    const strange = await this.strangeDuplicates([...sent.values()].map((log) => log.sent));
    for (const [tenantId, part] of parts) {
      const log = sent.get(tenantId);
      const wanted = due.get(tenantId)?.length ?? 0;
      const done = log?.sent ?? [];
      if (log?.error) this.parts.logger.warn({ tenantId, err: log.error }, 'An event was not acknowledged');
      const last = done.at(-1)?.message.event;
      if (last && !strange.has(tenantId)) {
        for (const { acknowledgement, message } of done) {
          if (!acknowledgement.duplicate && (top === null || acknowledgement.sequence > top.sequence)) {
            const { position, id } = message.event;
            top = { sequence: acknowledgement.sequence, tenantId, position, eventId: id };
          }
        }
        const next = advanced(tenantId, part.state, { position: last.position, eventId: last.id });
        reached.set(tenantId, next.state);
        if (next.advance) advances.push(next.advance);
        renewed.push(...next.renewed);
        this.counts.published += done.length;
        this.counts.republished += done.filter(({ message }) => message.messageId.includes(':r')).length;
        if (next.advance) relayed.observe(Math.max(0, this.scheduler.wallMs() - Date.parse(last.recordedAt)) / 1_000);
      }
      const slice = slices.get(tenantId);
      if (strange.has(tenantId) || done.length < wanted) hold(tenantId);
      else if (!slice || !last) outcomes.set(tenantId, { next: 'idle' });
      else outcomes.set(tenantId, last.position < slice.head ? { next: 'again' } : { next: 'idle' });
    }
    if (reached.size > 0) {
      await faultPoint('publish.done');
      const recorded = await storage.record({ epoch: this.guard.epoch, owner, acknowledged: top, advances, renewed });
      await faultPoint('publish.recorded');
      for (const [tenantId, state] of reached) {
        if (!recorded.has(tenantId)) hold(tenantId);
        else if (!strange.has(tenantId) && outcomes.get(tenantId)?.next !== 'hold') this.published.remember(tenantId, state);
      }
      if (top !== null && recorded.size > 0) this.guard.wasRecorded(top.sequence);
    }
    if ([...outcomes.values()].some(({ next }) => next === 'hold')) this.lookDue = true;
    return outcomes;
  }

  /** Few events of a log that has just grown; of a log with a backlog as many as memory is meant for. */
  private async read(requests: { tenantId: string; from: number }[]): Promise<Map<string, LogSlice>> {
    const { store, storage } = this.parts;
    const { eventsPerLog, eventsUnmeasured, maxReadBytes } = this.options;
    const [many, few] = [
      requests.filter(({ tenantId }) => this.backlogs.has(tenantId)),
      requests.filter(({ tenantId }) => !this.backlogs.has(tenantId)),
    ];
    const byLimit = new Map([[Math.min(eventsUnmeasured, eventsPerLog), few]]);
    if (many.length > 0) {
      const fitting = await storage.fitting(many, eventsPerLog, Math.floor(maxReadBytes / many.length));
      many.forEach((request, index) => {
        // Of one that is too long alone there is one all the same. Powers of two, so that few statements read them all.
        const limit = 2 ** Math.floor(Math.log2(Math.max(1, fitting[index] ?? 1)));
        byLimit.set(limit, [...(byLimit.get(limit) ?? []), request]);
      });
    }
    const slices = new Map<string, LogSlice>();
    for (const [limit, of] of byLimit) {
      if (of.length === 0) continue;
      for (const [tenantId, slice] of await store.readLogs(of, { limit })) slices.set(tenantId, slice);
    }
    for (const [tenantId, { scannedTo, head }] of slices) {
      if (scannedTo < head) this.backlogs.add(tenantId);
      else this.backlogs.delete(tenantId);
    }
    return slices;
  }

  private *messages(due: Map<string, StoredEvent[]>, parts: Map<string, { state: LogState }>): Generator<OutgoingMessage> {
    for (const [tenantId, events] of due) {
      const state = parts.get(tenantId)?.state;
      if (!state) continue;
      for (const event of events) {
        yield { event, body: this.encoder.encode(JSON.stringify(event.data)), messageId: messageIdIn(state, tenantId, event.position) };
      }
    }
  }

  /**
   * A stream that drops a message because it knows the id may have another event under it (history was rewritten), or nothing at all
   * (it was purged: ids outlive messages). So what was dropped is looked at.
   */
  private async strangeDuplicates(logs: Sent[][]): Promise<Set<string>> {
    const duplicates = logs.flat().filter(({ acknowledgement }) => acknowledgement.duplicate);
    const strange = new Set<string>();
    if (duplicates.length === 0) return strange;
    const held = await this.held(duplicates.map(({ acknowledgement }) => acknowledgement.sequence));
    for (const { message, acknowledgement } of duplicates) {
      const { tenantId, position, id } = message.event;
      const found = held.get(acknowledgement.sequence);
      if (found?.tenantId === tenantId && found.position === position && found.eventId === id) continue;
      strange.add(tenantId);
      this.guard.idTaken(tenantId, position);
    }
    return strange;
  }

  private async held(sequences: number[]): Promise<Map<number, StoredMessage>> {
    const { broker } = this.parts;
    if (sequences.length <= 16) {
      const found = await Promise.all(sequences.map((sequence) => broker.message(sequence)));
      return new Map(found.flatMap((message) => (message ? [[message.sequence, message]] : [])));
    }
    const wanted = new Set(sequences);
    const held = new Map<number, StoredMessage>();
    const { from, to } = sequences.reduce((range, at) => ({ from: Math.min(range.from, at), to: Math.max(range.to, at) }), {
      from: Number.POSITIVE_INFINITY,
      to: 0,
    });
    for await (const page of broker.scan(from, to))
      for (const message of page) if (wanted.has(message.sequence)) held.set(message.sequence, message);
    return held;
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
