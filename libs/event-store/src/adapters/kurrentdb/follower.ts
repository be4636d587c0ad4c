import { setTimeout as sleep } from 'node:timers/promises';
import {
  type AllStreamResolvedEvent,
  type AllStreamSubscription,
  type EventStoreDBClient,
  type Position,
  START,
  streamNameFilter,
  TimeoutError,
} from '@eventstore/db-client';
import type { Pool } from 'pg';
import { leafHash, microseconds } from '../../hash.js';
import { isStatementFault } from '../postgres/transient.js';
import { ForeignEvent, type LogEvent, logEventOf, logPrefixes, streamOf } from './recorded.js';
import { Server } from './server.js';

export interface FollowerParts {
  client: EventStoreDBClient;
  /** Connections as the login that may execute `log.copy`. */
  pool: Pool;
  /** Unique per process. */
  owner: string;
  logger: {
    info(fields: object, message: string): void;
    warn(fields: object, message: string): void;
    error(fields: object, message: string): void;
  };
  /** After each commit, with the logs that grew. */
  onCopied: (tenantIds: string[]) => void;
  options?: Partial<FollowerOptions>;
}
export interface FollowerOptions {
  leaseMs: number;
  /** From one look at a copy that may not go on to the next. */
  stoppedMs: number;
  /** Events of one commit. */
  batch: number;
  /** Events that may wait for their commit. */
  buffer: number;
}
const defaults: FollowerOptions = { leaseMs: 10_000, stoppedMs: 10_000, batch: 500, buffer: 4_000 };

/**
 * `waiting`: another process follows, or the server is away. `stopped`: the copy must not go on, for the reason given; somebody has to see
 * to it (docs/operations/kurrentdb.md).
 */
export type FollowerState = { state: 'waiting' | 'following' } | { state: 'stopped'; reason: string };

/** The copy and the server contradict each other, or a stream holds what isn't ours. */
class CopyStopped extends Error {}

interface Lease {
  position: Position | null;
  copied: { position: Position; tenantId: string; revision: number; id: string } | null;
}

interface Found {
  log: LogEvent;
  position: Position;
}

/**
 * Fills the tables of the logs from a KurrentDB server, by following `$all`. Several processes may run one; whoever holds the lease works.
 * Each commit takes whole commands and notes how far it is, so that nothing is copied twice or left out. A hole is filled from the log's own
 * stream; an event that contradicts the copy stops it.
 */
export class Follower {
  private readonly options: FollowerOptions;
  private readonly server: Server;
  private current: FollowerState = { state: 'waiting' };
  private stopping = new AbortController();
  private running: Promise<void> | null = null;
  /** Heads of the copy, while the lease is held: nobody else moves them. */
  private heads = new Map<string, number>();

  constructor(private readonly parts: FollowerParts) {
    this.options = { ...defaults, ...parts.options };
    this.server = new Server(parts.client, { timeoutMs: 5_000 });
  }

  get state(): FollowerState {
    return this.current;
  }

  start(): void {
    this.running ??= this.run();
  }

  /** Waits for the commit that is under way, and gives the lease up. */
  async stop(): Promise<void> {
    this.stopping.abort();
    await this.running;
    await this.parts.pool.query('SELECT log.copy_release($1)', [this.parts.owner]);
  }

  private async run(): Promise<void> {
    const { logger } = this.parts;
    for (let failures = 0; !this.stopping.signal.aborted; ) {
      try {
        const lease = await this.lease();
        if (!lease) {
          this.current = { state: 'waiting' };
          await this.pause(this.options.leaseMs / 3);
          continue;
        }
        this.heads.clear();
        await this.check(lease);
        this.current = { state: 'following' };
        failures = 0;
        await this.follow(lease);
      } catch (error) {
        if (error instanceof CopyStopped || error instanceof ForeignEvent || isStatementFault(error)) {
          this.current = { state: 'stopped', reason: (error as Error).message };
          logger.error({ err: error }, 'The copy of the logs has stopped');
          await this.pause(this.options.stoppedMs);
        } else {
          this.current = { state: 'waiting' };
          // The server drops a subscriber that doesn't keep up with a burst; from where it was, it catches up.
          const delayMs = error instanceof TimeoutError ? 0 : Math.min(5_000, 100 * 2 ** failures++);
          if (delayMs > 0) logger.warn({ err: error, delayMs }, 'Following KurrentDB will be tried again');
          await this.pause(delayMs);
        }
      }
    }
  }

  private pause(ms: number): Promise<void> {
    return sleep(ms, undefined, { signal: this.stopping.signal }).catch(() => undefined); // cut short when it is to stop
  }

  private async lease(): Promise<Lease | null> {
    const { rows } = await this.parts.pool.query('SELECT * FROM log.copy_lease($1, $2)', [this.parts.owner, this.options.leaseMs]);
    const row = rows[0] as Record<string, string | null> | undefined;
    if (!row) return null;
    return {
      position: positionOf(row['commit_position'], row['prepare_position']),
      copied:
        row['copied_id'] == null
          ? null
          : {
              position: positionOf(row['copied_commit'], row['copied_prepare']) as Position,
              tenantId: row['copied_tenant'] as string,
              revision: Number(row['copied_revision']),
              id: row['copied_id'],
            },
    };
  }

  /** The last event that was copied must still be there; else the server was set back behind the copy. */
  private async check({ copied }: Lease): Promise<void> {
    if (!copied) return;
    const [there] = await this.server.read(streamOf(copied.tenantId), copied.revision, 1);
    if (there?.id === copied.id) return;
    throw new CopyStopped(
      `The copy in PostgreSQL is ahead of KurrentDB: revision ${copied.revision} of ${streamOf(copied.tenantId)} was copied and is ${there ? 'another event' : 'not there'}. ` +
        'KurrentDB was set back, or is another server',
    );
  }

  private async from({ position, copied }: Lease): Promise<Position | typeof START> {
    if (!position) return START;
    // A checkpoint may lie beyond the end of a server that was set back to after the last event copied.
    const end = await this.server.end();
    if (end && end.commit < position.commit) return copied?.position ?? START;
    return position;
  }

  private async follow(lease: Lease): Promise<void> {
    const from = await this.from(lease);
    const following = new Following(this.parts.client, from, this.options.buffer);
    const end = () => following.end(null);
    this.stopping.signal.addEventListener('abort', end, { once: true });
    if (this.stopping.signal.aborted) end();
    const renewal = setInterval(() => {
      this.lease().then(
        (held) => held ?? following.end(new Error('the lease on the copy was lost')),
        (error: unknown) => following.end(error),
      );
    }, this.options.leaseMs / 3);
    this.parts.logger.info({ from: from === START ? 'the beginning' : String(from.commit) }, 'Following KurrentDB');
    try {
      for (;;) {
        const next = await following.next(this.options.batch);
        if (!next) return;
        await this.copy(next);
      }
    } finally {
      clearInterval(renewal);
      this.stopping.signal.removeEventListener('abort', end);
      await following.close();
    }
  }

  private async copy({ found, position }: { found: Found[]; position: Position }): Promise<void> {
    const events = await this.fresh(found.map(({ log }) => log));
    for (const { event } of events) {
      const leaf = leafHash({ ...event, recordedAtUs: microseconds(event.recordedAt) });
      if (leaf !== event.leaf)
        throw new CopyStopped(`Position ${event.position} of the log of ${event.tenantId} is not what its leaf says`);
    }
    const rows = JSON.stringify(events.map(rowOf));
    await this.parts.pool.query({
      name: 'log_copy',
      text: 'SELECT log.copy($1, $2::text::jsonb, $3, $4)',
      values: [this.parts.owner, rows, String(position.commit), String(position.prepare)],
    });
    for (const { event } of events) this.note(event.tenantId, event.position);
    if (events.length > 0) this.parts.onCopied([...new Set(events.map(({ event }) => event.tenantId))]);
  }

  private note(tenantId: string, head: number): void {
    this.heads.delete(tenantId);
    this.heads.set(tenantId, head);
    if (this.heads.size > 20_000) this.heads.delete(this.heads.keys().next().value as string);
  }

  /** What the copy doesn't have yet, holes before it filled. */
  private async fresh(found: LogEvent[]): Promise<LogEvent[]> {
    const unknown = [...new Set(found.map(({ event }) => event.tenantId))].filter((tenantId) => !this.heads.has(tenantId));
    if (unknown.length > 0) {
      const text =
        'SELECT t.id, coalesce(h.position, -1) AS position FROM unnest($1::uuid[]) AS t(id) LEFT JOIN log.heads h ON h.tenant_id = t.id';
      const { rows } = await this.parts.pool.query<{ id: string; position: string }>(text, [unknown]);
      for (const { id, position } of rows) this.note(id, Number(position));
    }
    const heads = new Map<string, number>();
    const known: LogEvent[] = [];
    const events: LogEvent[] = [];
    for (const log of found) {
      const { tenantId, position } = log.event;
      const head = heads.get(tenantId) ?? this.heads.get(tenantId) ?? -1;
      if (position <= head) known.push(log);
      else {
        if (position > head + 1) events.push(...(await this.hole(tenantId, head + 1, position - 1)));
        events.push(log);
        heads.set(tenantId, position);
      }
    }
    if (known.length > 0) await this.compare(known);
    return events;
  }

  private async hole(tenantId: string, first: number, last: number): Promise<LogEvent[]> {
    this.parts.logger.warn({ tenantId, first, last }, 'The copy of a log has a hole, which is filled from its stream');
    const read: LogEvent[] = [];
    while (read.length < last - first + 1) {
      const page = await this.server.read(streamOf(tenantId), first + read.length, Math.min(1_000, last - first + 1 - read.length));
      if (page.length === 0)
        throw new CopyStopped(`The log of ${tenantId} has no position ${first + read.length} in KurrentDB, though it goes on after it`);
      read.push(...page.map(logEventOf));
    }
    return read;
  }

  /** Events that come a second time must be those that were copied. */
  private async compare(again: LogEvent[]): Promise<void> {
    const { rows } = await this.parts.pool.query<{ tenant_id: string; position: string }>(
      `SELECT g.tenant_id, g.position FROM unnest($1::uuid[], $2::bigint[], $3::uuid[]) AS g(tenant_id, position, id)
       LEFT JOIN log.events e ON e.tenant_id = g.tenant_id AND e.position = g.position WHERE e.id IS DISTINCT FROM g.id LIMIT 1`,
      [again.map(({ event }) => event.tenantId), again.map(({ event }) => event.position), again.map(({ event }) => event.id)],
    );
    const other = rows[0];
    if (other) {
      throw new CopyStopped(
        `KurrentDB holds another event than the copy at position ${other.position} of the log of ${other.tenant_id}: it was set back and written to since`,
      );
    }
  }
}

/** One subscription to `$all`, as pages of whole commands. It ends with the first error; the client doesn't resume it by itself. */
class Following {
  private readonly subscription: AllStreamSubscription;
  private buffer: Found[] = [];
  /** Nothing of ours lies before it that wasn't given out. */
  private checkpoint: Position | null = null;
  private checkpointMs = performance.now();
  private wake: (() => void) | null = null;
  private ended: { error: unknown } | null = null;

  constructor(
    client: EventStoreDBClient,
    fromPosition: Position | typeof START,
    private readonly limit: number,
  ) {
    const filter = streamNameFilter({
      prefixes: logPrefixes,
      checkpointInterval: 10,
      checkpointReached: async (_subscription, position) => this.reached(position),
    });
    this.subscription = client.subscribeToAll({ fromPosition, filter, requiresLeader: true });
    this.subscription.on('data', (resolved: AllStreamResolvedEvent) => this.add(resolved));
    // After a lost connection there is an error, and neither an end nor a close.
    this.subscription.on('error', (error: unknown) => this.end(error));
    this.subscription.on('end', () => this.end(new Error('the server ended the subscription')));
  }

  /** Up to `count` events, and more where a command would be cut in two; null when it was ended without an error. @throws the subscription's error */
  async next(count: number): Promise<{ found: Found[]; position: Position } | null> {
    for (;;) {
      if (this.ended?.error === null) return null;
      const whole = this.whole(count);
      if (whole > 0) {
        const found = this.buffer.splice(0, whole);
        if (this.buffer.length < this.limit / 2) this.subscription.resume();
        return { found, position: (found.at(-1) as Found).position };
      }
      const position = this.checkpoint;
      if (position && this.buffer.length === 0 && performance.now() - this.checkpointMs > 1_000) {
        this.checkpoint = null;
        this.checkpointMs = performance.now();
        return { found: [], position };
      }
      // What came before the error was good, and is copied first.
      if (this.ended) throw this.ended.error;
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
  }

  end(error: unknown): void {
    this.ended ??= { error };
    this.wake?.();
  }

  async close(): Promise<void> {
    this.ended ??= { error: null };
    await this.subscription.unsubscribe().catch(() => undefined); // it is over already
  }

  private add({ event }: AllStreamResolvedEvent): void {
    if (!event?.position || this.ended) return;
    try {
      this.buffer.push({ log: logEventOf(event), position: event.position });
    } catch (error) {
      this.end(error);
      return;
    }
    this.checkpoint = null;
    if (this.buffer.length >= this.limit) this.subscription.pause();
    this.wake?.();
  }

  private reached(position: Position): void {
    // Events before it may still be on their way through the stream.
    if (this.subscription.readableLength > 0 || this.buffer.length > 0) return;
    this.checkpoint = position;
    this.wake?.();
  }

  /** How many of the buffered events make whole commands. */
  private whole(count: number): number {
    let whole = 0;
    for (let at = 0; at < this.buffer.length && (at < count || whole === 0); at++) {
      const { event, command } = (this.buffer[at] as Found).log;
      if (event.position === command.lastPosition) whole = at + 1;
    }
    return whole;
  }
}

function positionOf(commit: string | null | undefined, prepare: string | null | undefined): Position | null {
  return commit == null || prepare == null ? null : { commit: BigInt(commit), prepare: BigInt(prepare) };
}

const rowOf = ({ event, command }: LogEvent) => ({
  tenant: event.tenantId,
  position: event.position,
  stream: event.stream,
  stream_version: event.streamVersion,
  id: event.id,
  context: event.context,
  type: event.type,
  version: event.version,
  data: event.data,
  metadata: event.metadata,
  hash: event.bodyHash,
  leaf: event.leaf,
  us: microseconds(event.recordedAt),
  previous: event.previousInContext,
  command: command.id,
  hmac: command.requestHmac,
  first: command.firstPosition,
  last: command.lastPosition,
});
