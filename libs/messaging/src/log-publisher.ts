import type { StoredEvent } from '@tenantry/contracts/events';
import type { EventStore, LogSlice } from '@tenantry/event-store/port';
import { faultPoint } from '@tenantry/observability/fault';
import type { Logger } from '@tenantry/observability/logger';
import { relayed } from '@tenantry/observability/metrics';
import { BacklogReader, type ReadLimits } from './backlog-reader.js';
import type { Broker, OutgoingMessage, StoredMessage } from './broker.js';
import type { Outcome } from './dirty-queue.js';
import { droppedButNotHeld } from './dropped-messages.js';
import type { Leases } from './leases.js';
import { advanced, type LogState, messageIdIn, nextPart } from './log-state.js';
import type { PublishedPositions } from './published-positions.js';
import type { Advance, RelayStorage, Renewed } from './relay-storage.js';
import type { Scheduler } from './scheduler.js';
import { type SendLimits, type SendWatch, type SentLog, sendInOrder } from './send-in-order.js';
import type { StreamGuard } from './stream-guard.js';

export interface LogPublisherParts {
  store: EventStore;
  broker: Broker;
  storage: RelayStorage;
  leases: Leases;
  guard: StreamGuard;
  published: PublishedPositions;
  scheduler: Scheduler;
  logger: Logger;
  owner: string;
  options: ReadLimits & SendLimits;
  /** The stream should be looked at before long. */
  lookDue: () => void;
  /** So long a log rests of which not everything went out. */
  holdMs: () => number;
}

/** A log with what is to be published of it next. */
interface Part {
  state: LogState;
  from: number;
  through: number;
}

/** What a round came to, to be written down. */
interface Progress {
  /** The message with the highest sequence among those that were acknowledged. */
  top: StoredMessage | null;
  reached: Map<string, LogState>;
  advances: Advance[];
  renewed: Renewed[];
}

/** Publishes the next part of some logs: reads it, sends it in order, and writes down what was acknowledged. */
export class LogPublisher {
  /** Since the start; of those, `republished` under an id of their own. */
  readonly counts = { published: 0, republished: 0 };
  private readonly encoder = new TextEncoder();
  private readonly reader: BacklogReader;
  private readonly watch: SendWatch;

  constructor(private readonly parts: LogPublisherParts) {
    const { store, storage, options, guard } = parts;
    this.reader = new BacklogReader(store, storage, options);
    this.watch = {
      allowed: (tenantId) => guard.allows(tenantId),
      marked: () => guard.highest,
      acknowledged: (acknowledgement, mark) => guard.wasAcknowledged(acknowledgement, mark),
    };
  }

  /** What is to become of each log; those that aren't named have nothing to do. */
  async publish(tenantIds: string[]): Promise<Map<string, Outcome>> {
    const { broker, leases, guard, published, owner, options } = this.parts;
    const outcomes = new Map<string, Outcome>();
    const mine = tenantIds.filter((tenantId) => leases.owns(tenantId));
    // A bucket that was gained just now is looked through before anything of it is published.
    const allowed = mine.filter((tenantId) => guard.allows(tenantId));
    if (allowed.length < mine.length) this.parts.lookDue();
    for (const tenantId of mine) outcomes.set(tenantId, { next: 'again', delayMs: 100 });
    if (allowed.length === 0) return outcomes;
    const rewritten = await published.learn(allowed, guard.epoch, owner);
    if (rewritten.length > 0) {
      guard.suspect('the history of a log was rewritten');
      return outcomes;
    }
    const parts = new Map<string, Part>();
    for (const tenantId of allowed) {
      const state = published.known(tenantId);
      if (state) parts.set(tenantId, { state, ...nextPart(state) });
    }
    const slices = await this.reader.read([...parts].map(([tenantId, { from }]) => ({ tenantId, from })));
    if ([...parts].some(([tenantId, { state }]) => (slices.get(tenantId)?.head ?? -1) < state.published.position)) {
      guard.suspect('a log ends before what was published of it');
      return outcomes;
    }
    const due = new Map<string, StoredEvent[]>();
    for (const [tenantId, { through }] of parts) {
      due.set(tenantId, slices.get(tenantId)?.events.filter(({ position }) => position <= through) ?? []);
    }
    const sent = await sendInOrder(broker, this.messages(due, parts), this.watch, options);
    const strange = await this.strangeDuplicates(sent);
    const progress = this.progress(parts, sent, strange);
    for (const [tenantId, events] of due) {
      const done = sent.get(tenantId)?.sent.length ?? 0;
      if (strange.has(tenantId) || done < events.length) this.hold(tenantId, outcomes);
      else outcomes.set(tenantId, afterAll(events.at(-1), slices.get(tenantId)));
    }
    await this.record(progress, outcomes);
    if ([...outcomes.values()].some(({ next }) => next === 'hold')) this.parts.lookDue();
    return outcomes;
  }

  private hold(tenantId: string, outcomes: Map<string, Outcome>): void {
    this.parts.published.forget([tenantId]);
    outcomes.set(tenantId, { next: 'hold', delayMs: this.parts.holdMs() });
  }

  private *messages(due: Map<string, StoredEvent[]>, parts: Map<string, Part>): Generator<OutgoingMessage> {
    for (const [tenantId, events] of due) {
      const state = parts.get(tenantId)?.state;
      if (!state) continue;
      for (const event of events) {
        yield { event, body: this.encoder.encode(JSON.stringify(event.data)), messageId: messageIdIn(state, tenantId, event.position) };
      }
    }
  }

  /** Logs of which the stream dropped something that it does not hold. */
  private async strangeDuplicates(sent: Map<string, SentLog>): Promise<Set<string>> {
    const dropped = await droppedButNotHeld(
      this.parts.broker,
      [...sent.values()].flatMap((log) => log.sent),
    );
    for (const { event } of dropped) this.parts.guard.idTaken(event.tenantId, event.position);
    return new Set(dropped.map(({ event }) => event.tenantId));
  }

  private progress(parts: Map<string, Part>, sent: Map<string, SentLog>, strange: Set<string>): Progress {
    const { logger, scheduler } = this.parts;
    const progress: Progress = { top: null, reached: new Map(), advances: [], renewed: [] };
    for (const [tenantId, { state }] of parts) {
      const { sent: done, error } = sent.get(tenantId) ?? { sent: [], error: null };
      if (error) logger.warn({ tenantId, err: error }, 'An event was not acknowledged');
      const last = done.at(-1)?.message.event;
      if (!last || strange.has(tenantId)) continue;
      for (const { acknowledgement, message } of done) {
        if (!acknowledgement.duplicate && (progress.top === null || acknowledgement.sequence > progress.top.sequence)) {
          const { position, id } = message.event;
          progress.top = { sequence: acknowledgement.sequence, tenantId, position, eventId: id };
        }
      }
      const next = advanced(tenantId, state, { position: last.position, eventId: last.id });
      progress.reached.set(tenantId, next.state);
      if (next.advance) progress.advances.push(next.advance);
      progress.renewed.push(...next.renewed);
      this.counts.published += done.length;
      this.counts.republished += done.filter(({ message }) => message.messageId.includes(':r')).length;
      if (next.advance) relayed.observe(Math.max(0, scheduler.wallMs() - Date.parse(last.recordedAt)) / 1_000);
    }
    return progress;
  }

  private async record({ top, reached, advances, renewed }: Progress, outcomes: Map<string, Outcome>): Promise<void> {
    if (reached.size === 0) return;
    const { guard, storage, published, owner } = this.parts;
    await faultPoint('publish.done');
    const recorded = await storage.record({ epoch: guard.epoch, owner, acknowledged: top, advances, renewed });
    await faultPoint('publish.recorded');
    for (const [tenantId, state] of reached) {
      if (!recorded.has(tenantId)) this.hold(tenantId, outcomes);
      else if (outcomes.get(tenantId)?.next !== 'hold') published.remember(tenantId, state);
    }
    if (top !== null && recorded.size > 0) guard.wasRecorded(top.sequence);
  }
}

/** Of a log of which all that was due went out. */
function afterAll(last: StoredEvent | undefined, slice: LogSlice | undefined): Outcome {
  return slice && last && last.position < slice.head ? { next: 'again' } : { next: 'idle' };
}
