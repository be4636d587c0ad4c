import { setTimeout as sleep } from 'node:timers/promises';
import type { EventStoreDBClient } from '@eventstore/db-client';
import { DomainError } from '@tenantry/contracts/errors';
import type { StoredEvent } from '@tenantry/contracts/events';
import type { Pool } from 'pg';
import { type MeasuredCommand, measure } from '../../limits.js';
import { type AppendCommand, type AppendResult, EventStore, type Head, type LogSlice, type StreamSlice } from '../../port.js';
import { type EventCatalogue, upcast } from '../../upcast.js';
import { PostgresEventStore } from '../postgres/postgres-event-store.js';
import { isTransient } from '../postgres/transient.js';
import { AppendedEnds } from './appended-ends.js';
import { CopyReader, type Standing } from './copy-reader.js';
import { type Asked, type Decided, decideGroup } from './decide.js';
import { ReadBack } from './read-back.js';
import { ForeignEvent, type LogEvent, logEventOf, type ProposedEvent, proposed, streamOf } from './recorded.js';
import { isRefusal, Server, ServerRefuses } from './server.js';
import { type KnownCommand, noStream, type StreamEnd, Tail } from './tail.js';

export interface KurrentDbEventStoreOptions {
  /** How long to go on when the server or the database does not answer. Default 15,000. */
  retryForMs?: number;
  /** How long one call may take before its outcome counts as unknown. Default 2,500, above the server's own limits. */
  callTimeoutMs?: number;
  /** How long reading the copy waits for what this store has appended itself. Default 2,000. */
  ownWritesMs?: number;
  /** Other than all event types: only tests set it. */
  catalogue?: EventCatalogue;
  /** Shared by stores that are to see each other's appends at once, as within one process. */
  appended?: AppendedEnds;
}

/** Commands and bytes of one append; the server takes 1 MiB. */
const GROUP_COMMANDS = 64;
const GROUP_BYTES = 512 * 1024;
/** Logs that are appended to at the same time. */
const MAX_BUSY = 128;
/** Events of a read. */
const PAGE = 1_000;
/** Positions of a log that is kept whole, as far as its streams and commands go. */
const SHORT = 500;
/** Events that are held beyond the copy: of one log before it takes no more, and of all before logs that rest are forgotten. */
const MAX_TAIL = 20_000;
const MAX_HELD = 60_000;
const MAX_LOGS = 5_000;
/** From here on, what the copy has by now is asked for with every append. */
const TRIM_ABOVE = 500;
const TRIM_STEP = 100;
/** After this long without an answer, the log is looked at before the append is made again. */
const SLOW_MS = 400;

/** No log has this id. */
const nobody = 'ffffffff-ffff-ffff-ffff-ffffffffffff';

interface Pending {
  command: AppendCommand;
  measured: MeasuredCommand;
  resolve: (result: AppendResult) => void;
  reject: (error: unknown) => void;
}

/** One log as this process knows it. */
interface Log {
  tenantId: string;
  /** What the copy was seen to have: the tail is not to be trusted before it has been read up to there. */
  atLeast: number;
  tail: Tail | null;
  waiting: Pending[];
  busy: boolean;
  /** The reading of its end that has begun, and the one that begins after it. */
  reading: Promise<void> | null;
  next: Promise<void> | null;
}

/** That a command's id was not known, and its stream's end, at a position of the log. */
interface Absent {
  at: number;
  stream: string;
  end: StreamEnd;
}

/**
 * The logs in KurrentDB: stream `tenantlog-<tenant>`, revision = position. The server decides each append, by the revision that it expects;
 * everything is read from the copy in PostgreSQL that `Follower` fills, and what is beyond it from the server.
 * An append is answered from what was read back: the server takes an append for a repeated one by its ids alone.
 * @throws DomainError `service.unavailable` when the server has not answered for 15 s, or the copy is far behind
 */
export class KurrentDbEventStore extends EventStore {
  private readonly copy: PostgresEventStore;
  private readonly standings: CopyReader;
  private readonly server: Server;
  private readonly readBack: ReadBack;
  private readonly logs = new Map<string, Log>();
  private readonly absent = new Map<string, Absent>();
  private readonly appended: AppendedEnds;
  private readonly retryForMs: number;
  private readonly ownWritesMs: number;
  private readonly catalogue: EventCatalogue | undefined;
  private readonly ready = new Set<Log>();
  private busy = 0;
  private scheduled = false;
  private runs = 0;

  /** `pool`: connections as a login that may read the schema log. */
  constructor(
    private readonly client: EventStoreDBClient,
    pool: Pool,
    options: KurrentDbEventStoreOptions = {},
  ) {
    super();
    this.retryForMs = options.retryForMs ?? 15_000;
    this.ownWritesMs = options.ownWritesMs ?? 2_000;
    this.catalogue = options.catalogue;
    this.appended = options.appended ?? new AppendedEnds();
    this.copy = new PostgresEventStore(pool, { retryForMs: this.retryForMs, catalogue: options.catalogue });
    this.standings = new CopyReader(pool);
    this.server = new Server(client, { timeoutMs: options.callTimeoutMs ?? 2_500 });
    this.readBack = new ReadBack(this.server);
  }

  /** Rejects when the server does not answer, or refuses the login. */
  async check(): Promise<void> {
    await this.server.read(streamOf(nobody), 0, 1);
  }

  async close(): Promise<void> {
    await this.client.dispose();
  }

  override async append(command: AppendCommand): Promise<AppendResult> {
    const measured = measure(command);
    return new Promise((resolve, reject) => {
      const log = this.logOf(command.tenantId);
      log.waiting.push({ command, measured, resolve, reject });
      this.ready.add(log);
      this.schedule();
    });
  }

  override async readStream(
    tenantId: string,
    stream: string,
    options: { fromVersion?: number; commandId?: string } = {},
  ): Promise<StreamSlice> {
    const { fromVersion = 0, commandId } = options;
    const log = this.logOf(tenantId);
    const tail = await this.load(log);
    let copied: StreamSlice;
    let base: number;
    do {
      // The tail begins where the copy ended before it was asked: together they have no hole.
      base = tail.base;
      [copied] = await Promise.all([this.copy.readStream(tenantId, stream, options), this.patiently(() => this.readEnd(log, tail))]);
    } while (tail.base !== base);
    const end = copied.events.at(-1)?.streamVersion ?? fromVersion - 1;
    const later = tail.ofStream(stream, end + 1).map(({ event }) => this.out(event));
    const own = commandId === undefined ? undefined : tail.command(commandId);
    const command = copied.command ?? (own ? sliceOf(own) : null);
    if (commandId !== undefined && command === null) {
      const last = later.at(-1) ?? copied.events.at(-1);
      // Where nothing came from `fromVersion` on, the stream may as well be shorter: nothing is known then.
      if (last) this.remember(tenantId, commandId, { at: tail.position, stream, end: { version: last.streamVersion, eventId: last.id } });
      else if (fromVersion === 0) this.remember(tenantId, commandId, { at: tail.position, stream, end: noStream });
    }
    return { events: [...copied.events, ...later], command };
  }

  override async readLog(tenantId: string, from: number, options: { types?: readonly string[]; limit?: number } = {}): Promise<LogSlice> {
    const slices = await this.readLogs([{ tenantId, from }], options);
    return slices.get(tenantId) ?? { events: [], scannedTo: from - 1, head: -1 };
  }

  override async readLogs(
    requests: { tenantId: string; from: number }[],
    options: { types?: readonly string[]; limit?: number } = {},
  ): Promise<Map<string, LogSlice>> {
    await this.copied(requests.map(({ tenantId }) => tenantId));
    const slices = await this.copy.readLogs(requests, options);
    for (const [tenantId, { head }] of slices) this.isCopied(tenantId, head);
    return slices;
  }

  override async heads(options: { tenantIds?: readonly string[]; after?: string; limit?: number } = {}): Promise<Head[]> {
    await this.copied(options.tenantIds ?? this.appended.tenants());
    return this.copy.heads(options);
  }

  /** Waits until the copy has what was appended here up to now, for a moment at most. */
  private async copied(tenantIds: readonly string[]): Promise<void> {
    const end = performance.now() + this.ownWritesMs;
    let behind = tenantIds.map((tenantId) => ({ tenantId, position: this.appended.get(tenantId) })).filter(({ position }) => position >= 0);
    for (let waits = 0; behind.length > 0; waits++) {
      const heads = new Map<string, number>();
      for (const head of await this.copy.heads({ tenantIds: behind.map(({ tenantId }) => tenantId) })) {
        heads.set(head.tenantId, head.position);
        this.isCopied(head.tenantId, head.position);
      }
      behind = behind.filter(({ tenantId, position }) => (heads.get(tenantId) ?? -1) < position);
      if (behind.length === 0 || performance.now() > end) return;
      await sleep(Math.min(5 + waits * 5, 50));
    }
  }

  private isCopied(tenantId: string, head: number): void {
    this.appended.copied(tenantId, head);
    const log = this.logs.get(tenantId);
    // Not while something is decided on what was there; and not each time, since readings that are under way would begin again.
    if (log?.tail && !log.busy && head - log.tail.base >= TRIM_STEP) log.tail.trim(head);
  }

  private out(event: StoredEvent): StoredEvent {
    // What a reader does to its events is not seen by the next one.
    return upcast(structuredClone(event), this.catalogue);
  }

  private logOf(tenantId: string): Log {
    let log = this.logs.get(tenantId);
    if (log) this.logs.delete(tenantId);
    else {
      log = { tenantId, atLeast: -1, tail: null, waiting: [], busy: false, reading: null, next: null };
      if (this.logs.size >= MAX_LOGS) this.forget(this.logs.size - MAX_LOGS + 100, 0);
    }
    // The most recently used is the last.
    this.logs.set(tenantId, log);
    return log;
  }

  /** Lets go of logs that rest, those first that have rested longest. */
  private forget(count: number, events: number): void {
    for (const [tenantId, log] of this.logs) {
      if (count <= 0 && events <= 0) return;
      if (log.busy || log.reading || log.waiting.length > 0) continue;
      this.logs.delete(tenantId);
      count -= 1;
      events -= log.tail?.weight ?? 0;
    }
  }

  private remember(tenantId: string, commandId: string, absent: Absent): void {
    this.absent.set(`${tenantId} ${commandId}`, absent);
    if (this.absent.size > 10_000) this.absent.delete(this.absent.keys().next().value as string);
  }

  // Not at once: what comes in the same turn of the event loop is looked up together, and goes in the same append of its log.
  private schedule(): void {
    if (this.scheduled || this.ready.size === 0) return;
    this.scheduled = true;
    setImmediate(() => {
      this.scheduled = false;
      const groups: { log: Log; group: Pending[] }[] = [];
      for (const log of this.ready) {
        if (this.busy >= MAX_BUSY) break;
        this.ready.delete(log);
        if (log.busy || log.waiting.length === 0) continue;
        log.busy = true;
        this.busy++;
        groups.push({ log, group: take(log) });
      }
      if (groups.length > 0) void this.run(groups);
    });
  }

  private async run(groups: { log: Log; group: Pending[] }[]): Promise<void> {
    const asked = await this.ask(groups).catch((error: unknown) => {
      for (const { group } of groups) for (const { reject } of group) reject(error);
      return null;
    });
    await Promise.all(
      groups.map(async ({ log, group }, index) => {
        try {
          if (asked) await this.commit(log, group, asked[index] as Asked[]);
        } catch (error) {
          // Those that have their result already are not touched by this.
          for (const { reject } of group) reject(error);
        } finally {
          log.busy = false;
          this.busy--;
          if (log.waiting.length > 0) this.ready.add(log);
          this.schedule();
        }
      }),
    );
    this.bound();
  }

  private bound(): void {
    if (++this.runs % 64 !== 0) return;
    let held = 0;
    for (const { tail } of this.logs.values()) held += tail?.weight ?? 0;
    if (held > MAX_HELD) this.forget(0, held - MAX_HELD / 2);
  }

  /** What the copy knows of each command, in one question for all logs; nothing is asked where a reading has just told. */
  private async ask(groups: { log: Log; group: Pending[] }[]): Promise<Asked[][]> {
    const questions: { tenantId: string; stream: string; commandId: string }[] = [];
    const places: [number, number][] = [];
    const asked = groups.map(({ log, group }, at) => {
      const known = group.map(({ command }) => this.known(log, command));
      const isComplete = log.tail?.isComplete === true && log.tail.length < TRIM_ABOVE;
      // Of one log all or none: the answers, and what the tail still holds, must be of one moment.
      const isKnown = known.every((absent) => absent !== null);
      return group.map(({ command }, index): Asked => {
        if (isComplete || isKnown) return { command, copiedStream: known[index]?.end ?? noStream, copiedCommand: null };
        places.push([at, index]);
        questions.push(command);
        return { command, copiedStream: noStream, copiedCommand: null };
      });
    });
    if (questions.length > 0) {
      const standings = await this.patiently(() => this.standings.standing(questions));
      standings.forEach((standing, question) => {
        const [at, index] = places[question] as [number, number];
        const { log } = groups[at] as { log: Log };
        const of = asked[at]?.[index] as Asked;
        of.copiedStream = standing.stream;
        of.copiedCommand = standing.command;
        this.learn(log, standing);
      });
    }
    return asked;
  }

  private known(log: Log, { tenantId, commandId, stream }: AppendCommand): Absent | null {
    const key = `${tenantId} ${commandId}`;
    const absent = this.absent.get(key);
    if (!absent || !log.tail || absent.stream !== stream) return null;
    this.absent.delete(key);
    // What came after it must be in the tail.
    return absent.at >= log.tail.base && log.tail.length < TRIM_ABOVE ? absent : null;
  }

  private learn(log: Log, { copy }: Standing): void {
    this.appended.copied(log.tenantId, copy.position);
    if (!log.tail) {
      // A short log is read from its beginning: from then on nothing has to be asked of the copy.
      log.tail = new Tail(copy.position < SHORT ? { position: -1, timeUs: 0, contexts: new Map() } : copy);
      log.atLeast = copy.position;
    } else if (copy.position - log.tail.base >= TRIM_STEP) log.tail.trim(copy.position);
  }

  private async commit(log: Log, group: Pending[], asked: Asked[]): Promise<void> {
    const end = performance.now() + this.retryForMs;
    const tail = log.tail ?? (await this.load(log));
    if (tail.position < log.atLeast) await this.patiently(() => this.readEnd(log, tail));
    if (tail.position < log.atLeast) throw this.setBack(log);
    if (tail.length > MAX_TAIL) {
      const detail = 'The copy of the log is too far behind for more to be added';
      throw new DomainError('service.unavailable', { detail, retryAfterSeconds: 10 });
    }
    let isRead = false;
    for (let attempt = 1; ; attempt++) {
      const decided = decideGroup(tail, asked, Date.now() * 1_000);
      // A refusal must be true of the log as it is, not as it was when it was last looked at.
      if (!isRead && decided.some(({ outcome }) => outcome === 'unread')) {
        await this.patiently(() => this.readEnd(log, tail));
        isRead = true;
        continue;
      }
      const events = decided.flatMap((one) => (one.outcome === 'append' ? one.events : []));
      if (events.length === 0 || (await this.appendAt(log, tail, events, end))) return this.settle(log, group, decided);
      isRead = true;
      if (performance.now() > end) throw new DomainError('service.unavailable', { retryAfterSeconds: 5 });
      // Spreads replicas that meet on one log.
      if (attempt > 1) await sleep(Math.random() * Math.min(attempt, 10) * 3);
    }
  }

  /** Appends at the end that is known. @returns false where the log went on otherwise; then its end was read */
  private async appendAt(log: Log, tail: Tail, events: LogEvent[], end: number): Promise<boolean> {
    const stream = streamOf(log.tenantId);
    const revision = tail.position;
    const data = events.map(proposed);
    const last = events.at(-1) as LogEvent;
    for (let attempt = 1; ; attempt++) {
      // The same command tried elsewhere at the same moment makes the server wait for its own timeout: the log tells sooner.
      const result = await this.server.append(stream, data, revision, attempt === 1 ? SLOW_MS : undefined);
      if (result.outcome === 'refused') throw new ServerRefuses(`KurrentDB refuses an append to ${stream}: ${result.reason}`);
      if (result.outcome === 'done') {
        const found = await this.readBack.event(stream, last.event.position, result.position).catch(() => null); // then the end is read, below
        // Its metadata say everything that another one's would say otherwise: time, leaf, the request's HMAC.
        if (found?.id === last.event.id && Buffer.compare(found.metadata, (data.at(-1) as ProposedEvent).metadata) === 0) {
          tail.add(events.map(({ event, command }) => ({ event: { ...event, data: structuredClone(event.data) }, command })));
          return true;
        }
      }
      // In doubt the log itself tells. Where it has gone on from the revision, what stands there is the outcome; where it has not, the
      // identical append is made again: the server knows it by its ids, as long as it is at this revision.
      await this.patiently(() => this.readEnd(log, tail), end);
      if (tail.position > revision) {
        const held = tail.range(last.event.position, last.event.position)?.[0];
        return held !== undefined && isSame(held, last);
      }
      if (result.outcome === 'wrong') await this.refuseIfSetBack(log, revision);
      const waitMs = Math.min(1_000, 25 * 2 ** attempt) * (0.5 + Math.random() / 2);
      if (performance.now() + waitMs > end) {
        throw new DomainError('service.unavailable', {
          cause: result.outcome === 'unknown' ? result.cause : undefined,
          retryAfterSeconds: 5,
        });
      }
      await sleep(waitMs);
    }
  }

  private settle(log: Log, group: Pending[], decided: Decided[]): void {
    let grown = false;
    decided.forEach((one, index) => {
      const { resolve, reject } = group[index] as Pending;
      switch (one.outcome) {
        case 'append':
          grown = true;
          this.appended.add(log.tenantId, one.events.at(-1)?.event.position ?? -1);
          resolve({ outcome: 'appended', events: one.events.map(({ event }) => event) });
          break;
        case 'repeated':
          this.range(log, one.command.firstPosition, one.command.lastPosition).then(
            (events) => resolve({ outcome: 'repeated', events }),
            reject,
          );
          break;
        case 'mismatch':
          reject(new DomainError('idempotency.mismatch'));
          break;
        default:
          reject(new DomainError('log.conflict'));
      }
    });
    if (grown) this.onAppended?.([log.tenantId]);
  }

  private async range(log: Log, first: number, last: number): Promise<StoredEvent[]> {
    const held = log.tail?.range(first, last);
    if (held) return held.map(({ event }) => this.out(event));
    return (await this.copy.readLog(log.tenantId, first, { limit: last - first + 1 })).events;
  }

  private async load(log: Log): Promise<Tail> {
    if (!log.tail) {
      const [standing] = await this.patiently(() => this.standings.standing([{ tenantId: log.tenantId, stream: '', commandId: '' }]));
      this.learn(log, standing as Standing);
    }
    return log.tail as Tail;
  }

  /** Reads on to the end that the log has now, or later. */
  private readEnd(log: Log, tail: Tail): Promise<void> {
    if (!log.reading) {
      log.reading = this.readOn(log, tail).finally(() => {
        log.reading = null;
      });
      return log.reading;
    }
    // The one under way may have passed the end before this was asked.
    log.next ??= log.reading
      .catch(() => undefined) // whoever began it hears of it
      .then(() => {
        log.next = null;
        return this.readEnd(log, tail);
      });
    return log.next;
  }

  private async readOn(log: Log, tail: Tail): Promise<void> {
    const stream = streamOf(log.tenantId);
    for (;;) {
      const events = await this.server.read(stream, tail.position + 1, PAGE);
      tail.add(events.map(logEventOf));
      if (events.length < PAGE) return;
    }
  }

  /** The server refuses the end that is known, and holds nothing after it: does it hold the end itself? */
  private async refuseIfSetBack(log: Log, revision: number): Promise<void> {
    if (revision < 0) return;
    const [there] = await this.patiently(() => this.server.read(streamOf(log.tenantId), revision, 1));
    if (!there) throw this.setBack(log);
  }

  private setBack(log: Log): DomainError {
    log.tail = null;
    const cause = new Error(`KurrentDB has less of the log of ${log.tenantId} than the copy in PostgreSQL: it was set back`);
    return new DomainError('service.unavailable', { detail: 'The log is being repaired', retryAfterSeconds: 60, cause });
  }

  /** Does it again where it isn't answered. */
  private async patiently<T>(work: () => Promise<T>, end = performance.now() + this.retryForMs): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await work();
      } catch (error) {
        if (error instanceof DomainError || isRefusal(error) || isLasting(error)) throw error;
        const waitMs = Math.min(1_000, 25 * 2 ** attempt) * (0.5 + Math.random() / 2);
        if (performance.now() + waitMs > end) throw new DomainError('service.unavailable', { cause: error, retryAfterSeconds: 5 });
        await sleep(waitMs);
      }
    }
  }
}

/** What waits for one log, as much as one append holds, in its order. */
function take(log: Log): Pending[] {
  let bytes = 0;
  let count = 0;
  for (const { measured } of log.waiting) {
    if (count > 0 && (count >= GROUP_COMMANDS || bytes + measured.bytes > GROUP_BYTES)) break;
    count++;
    bytes += measured.bytes;
  }
  return log.waiting.splice(0, count);
}

/** The leaf is of position, version, time and body: whatever was appended elsewhere has another. */
const isSame = (held: LogEvent, sent: LogEvent): boolean =>
  held.event.id === sent.event.id && held.event.leaf === sent.event.leaf && held.command.requestHmac === sent.command.requestHmac;
const sliceOf = ({ stream, requestHmac, firstPosition, lastPosition }: KnownCommand): NonNullable<StreamSlice['command']> => ({
  stream,
  requestHmac,
  firstPosition,
  lastPosition,
});

/** Whether an error comes again however often it is tried: the database's answer to a statement, what doesn't belong in a log. */
function isLasting(error: unknown): boolean {
  if (error instanceof ForeignEvent || error instanceof TypeError || error instanceof RangeError) return true;
  const code = error instanceof Error ? (error as { code?: unknown }).code : undefined;
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) && !isTransient(error);
}
