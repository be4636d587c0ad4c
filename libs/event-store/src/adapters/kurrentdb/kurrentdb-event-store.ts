import { setTimeout as sleep } from 'node:timers/promises';
import type { EventStoreDBClient } from '@eventstore/db-client';
import type { StoredEvent } from '@tenantry/contracts/events';
import type { Pool } from 'pg';
import { type AppendCommand, type AppendResult, EventStore, type Head, type LogSlice, type StreamSlice } from '../../port.js';
import { type EventCatalogue, upcast } from '../../upcast.js';
import { PostgresEventStore } from '../postgres/postgres-event-store.js';
import { AbsentCommands } from './absent-commands.js';
import { AppendedEnds } from './appended-ends.js';
import { Appender } from './appender.js';
import { CopyReader } from './copy-reader.js';
import { type KnownLog, KnownLogs } from './known-logs.js';
import { LogEnds } from './log-ends.js';
import { Patience } from './patience.js';
import { streamOf } from './recorded.js';
import { Server } from './server.js';
import { type KnownCommand, noStream } from './tail.js';

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

/** No log has this id. */
const nobody = 'ffffffff-ffff-ffff-ffff-ffffffffffff';

/**
 * The logs in KurrentDB: stream `tenantlog-<tenant>`, revision = position. The server decides each append, by the revision that it expects;
 * everything is read from the copy in PostgreSQL that `Follower` fills, and what is beyond it from the server.
 * @throws DomainError `service.unavailable` when the server has not answered for 15 s, or the copy is far behind
 */
export class KurrentDbEventStore extends EventStore {
  private readonly copy: PostgresEventStore;
  private readonly server: Server;
  private readonly logs = new KnownLogs();
  private readonly ends: LogEnds;
  private readonly absent = new AbsentCommands();
  private readonly appended: AppendedEnds;
  private readonly appender: Appender;
  private readonly ownWritesMs: number;
  private readonly catalogue: EventCatalogue | undefined;

  /** `pool`: connections as a login that may read the schema log. */
  constructor(
    private readonly client: EventStoreDBClient,
    pool: Pool,
    {
      retryForMs = 15_000,
      callTimeoutMs = 2_500,
      ownWritesMs = 2_000,
      catalogue,
      appended = new AppendedEnds(),
    }: KurrentDbEventStoreOptions = {},
  ) {
    super();
    this.ownWritesMs = ownWritesMs;
    this.catalogue = catalogue;
    this.appended = appended;
    this.copy = new PostgresEventStore(pool, { retryForMs, catalogue });
    this.server = new Server(client, { timeoutMs: callTimeoutMs });
    const parts = { logs: this.logs, server: this.server, appended, patience: new Patience(retryForMs) };
    this.ends = new LogEnds({ ...parts, copy: new CopyReader(pool) });
    this.appender = new Appender({
      ...parts,
      ends: this.ends,
      absent: this.absent,
      events: (log, first, last) => this.range(log, first, last),
      onAppended: (tenantIds) => this.onAppended?.(tenantIds),
    });
  }

  /** Rejects when the server does not answer, or refuses the login. */
  async check(): Promise<void> {
    await this.server.read(streamOf(nobody), 0, 1);
  }

  async close(): Promise<void> {
    await this.client.dispose();
  }

  override append(command: AppendCommand): Promise<AppendResult> {
    return this.appender.append(command);
  }

  override async readStream(
    tenantId: string,
    stream: string,
    options: { fromVersion?: number; commandId?: string } = {},
  ): Promise<StreamSlice> {
    const { fromVersion = 0, commandId } = options;
    const log = this.logs.use(tenantId);
    const tail = await this.ends.load(log);
    let copied: StreamSlice;
    let base: number;
    do {
      // The tail begins where the copy ended before it was asked: together they have no hole.
      base = tail.base;
      [copied] = await Promise.all([this.copy.readStream(tenantId, stream, options), this.ends.read(log, tail)]);
    } while (tail.base !== base);
    const end = copied.events.at(-1)?.streamVersion ?? fromVersion - 1;
    const later = tail.ofStream(stream, end + 1).map(({ event }) => this.out(event));
    const own = commandId === undefined ? undefined : tail.command(commandId);
    const command = copied.command ?? (own ? sliceOf(own) : null);
    if (commandId !== undefined && command === null) {
      const last = later.at(-1) ?? copied.events.at(-1);
      const at = tail.position;
      // Where nothing came from `fromVersion` on, the stream may as well be shorter: nothing is known then.
      if (last) this.absent.note(tenantId, commandId, { at, stream, end: { version: last.streamVersion, eventId: last.id } });
      else if (fromVersion === 0) this.absent.note(tenantId, commandId, { at, stream, end: noStream });
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
    for (const [tenantId, { head }] of slices) this.ends.copied(tenantId, head);
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
        this.ends.copied(head.tenantId, head.position);
      }
      behind = behind.filter(({ tenantId, position }) => (heads.get(tenantId) ?? -1) < position);
      if (behind.length === 0 || performance.now() > end) return;
      await sleep(Math.min(5 + waits * 5, 50));
    }
  }

  private async range(log: KnownLog, first: number, last: number): Promise<StoredEvent[]> {
    const held = log.tail?.range(first, last);
    if (held) return held.map(({ event }) => this.out(event));
    return (await this.copy.readLog(log.tenantId, first, { limit: last - first + 1 })).events;
  }

  private out(event: StoredEvent): StoredEvent {
    // What a reader does to its events is not seen by the next one.
    return upcast(structuredClone(event), this.catalogue);
  }
}

const sliceOf = ({ stream, requestHmac, firstPosition, lastPosition }: KnownCommand): NonNullable<StreamSlice['command']> => ({
  stream,
  requestHmac,
  firstPosition,
  lastPosition,
});
