import { setTimeout as sleep } from 'node:timers/promises';
import { DomainError } from '@tenantry/contracts/errors';
import type { StoredEvent } from '@tenantry/contracts/events';
import type { Pool, QueryResultRow } from 'pg';
import { instantOf } from '../../hash.js';
import { type MeasuredCommand, measure } from '../../limits.js';
import { type AppendCommand, type AppendResult, EventStore, type Head, type LogSlice, type StreamSlice } from '../../port.js';
import { type EventCatalogue, upcast } from '../../upcast.js';
import { GroupCommit, type Waiting } from './group-commit.js';
import { type EventRow, eventColumns, eventOf, readColumns } from './rows.js';
import { isStatementFault, isTransient } from './transient.js';

export interface PostgresEventStoreOptions {
  /** How long to go on when the database does not answer. Default 15,000. */
  retryForMs?: number;
  /** Other than all event types: only tests set it. */
  catalogue?: EventCatalogue;
}

const DEFAULT_LIMIT = 500;
/** Positions that one page looks at, so that a rare type in a long log never makes a long statement. */
const SCAN = 50_000;

interface PendingCommand extends Waiting {
  command: AppendCommand;
  measured: MeasuredCommand;
  resolve: (result: AppendResult) => void;
  reject: (error: unknown) => void;
}

interface AppendRow {
  index: number;
  outcome: 'appended' | 'repeated' | 'conflict' | 'mismatch' | 'forbidden' | 'skipped';
  first_position: string | null;
  last_position: string | null;
  recorded_us: string[] | null;
  leaves: string[] | null;
  previous: (string | null)[] | null;
}

/**
 * The log in PostgreSQL (`migrations/`). Commands that arrive while others are being committed share the next commit.
 * When the connection is lost, the identical call is repeated: command ids make that safe.
 * @throws DomainError `service.unavailable` when the database has not answered for 15 s
 */
export class PostgresEventStore extends EventStore {
  private readonly groups = new GroupCommit<PendingCommand>((group) => this.commit(group));
  private readonly retryForMs: number;
  private readonly catalogue: EventCatalogue | undefined;

  /** `pool`: connections as a login that may use the schema log. */
  constructor(
    private readonly pool: Pool,
    options: PostgresEventStoreOptions = {},
  ) {
    super();
    this.retryForMs = options.retryForMs ?? 15_000;
    this.catalogue = options.catalogue;
  }

  override async append(command: AppendCommand): Promise<AppendResult> {
    const measured = measure(command);
    return new Promise((resolve, reject) => {
      this.groups.add({ tenantId: command.tenantId, bytes: measured.bytes, command, measured, resolve, reject });
    });
  }

  override async readStream(
    tenantId: string,
    stream: string,
    options: { fromVersion?: number; commandId?: string } = {},
  ): Promise<StreamSlice> {
    const values = [tenantId, stream, options.fromVersion ?? 0, options.commandId ?? null];
    const rows = await this.query<EventRow & { is_event: boolean }>('log_read_stream', STREAM, values);
    const first = rows[0];
    if (!first || first.is_event) return { events: this.events(rows, tenantId), command: null };
    return {
      events: this.events(rows.slice(1), tenantId),
      command: {
        stream: first.stream,
        requestHmac: first.body_hash,
        firstPosition: Number(first.position),
        lastPosition: Number(first.previous_in_context),
      },
    };
  }

  override async readLog(tenantId: string, from: number, options: { types?: readonly string[]; limit?: number } = {}): Promise<LogSlice> {
    const slices = await this.readLogs([{ tenantId, from }], options);
    return slices.get(tenantId) ?? { events: [], scannedTo: from - 1, head: -1 };
  }

  override async readLogs(
    requests: { tenantId: string; from: number }[],
    options: { types?: readonly string[]; limit?: number } = {},
  ): Promise<Map<string, LogSlice>> {
    const { types, limit = DEFAULT_LIMIT } = options;
    const slices = new Map<string, LogSlice>();
    if (requests.length === 0) return slices;
    const rows = await this.query<{ request: number; head: string | null } & EventRow>('log_read_logs', LOGS, [
      requests.map(({ tenantId }) => tenantId),
      requests.map(({ from }) => from),
      types ?? null,
      limit,
      SCAN,
    ]);
    const events = requests.map((): StoredEvent[] => []);
    const heads = requests.map(() => -1);
    for (const row of rows) {
      const request = row.request - 1;
      if (row.head !== null) heads[request] = Number(row.head);
      // A log with nothing to show has one row without an event.
      if (row.position === null) continue;
      events[request]?.push(upcast(eventOf(row, requests[request]?.tenantId as string), this.catalogue));
    }
    requests.forEach(({ tenantId, from }, request) => {
      const head = heads[request] ?? -1;
      const found = events[request] ?? [];
      const end = Math.max(from - 1, Math.min(head, from + SCAN - 1));
      slices.set(tenantId, { events: found, scannedTo: found.length === limit ? (found.at(-1)?.position ?? end) : end, head });
    });
    return slices;
  }

  override async heads(options: { tenantIds?: readonly string[]; after?: string; limit?: number } = {}): Promise<Head[]> {
    const { tenantIds, after = null, limit = null } = options;
    const rows = tenantIds
      ? await this.query<{ tenant_id: string; position: string }>('log_heads_of', HEADS_OF, [tenantIds, after, limit])
      : await this.query<{ tenant_id: string; position: string }>('log_heads', HEADS, [after, limit]);
    return rows.map((row) => ({ tenantId: row.tenant_id, position: Number(row.position) }));
  }

  private events(rows: EventRow[], tenantId: string): StoredEvent[] {
    return rows.map((row) => upcast(eventOf(row, tenantId), this.catalogue));
  }

  /** @returns those whose log somebody else was appending to */
  private async commit(group: PendingCommand[]): Promise<PendingCommand[]> {
    try {
      const { rows, attempts } = await this.persistently<AppendRow>('log_append', APPEND, [groupText(group)]);
      const repeated: { pending: PendingCommand; first: number; last: number }[] = [];
      const grown = new Set<string>();
      const skipped: AppendRow[] = [];
      for (const row of rows) {
        const pending = group[row.index] as PendingCommand;
        switch (row.outcome) {
          case 'appended':
            grown.add(pending.tenantId);
            pending.resolve({ outcome: 'appended', events: stored(pending.command, row) });
            break;
          case 'repeated':
            // The attempt whose answer was lost may have been the one that appended.
            if (attempts > 1) grown.add(pending.tenantId);
            repeated.push({ pending, first: Number(row.first_position), last: Number(row.last_position) });
            break;
          case 'conflict':
            pending.reject(new DomainError('log.conflict'));
            break;
          case 'mismatch':
            pending.reject(new DomainError('idempotency.mismatch'));
            break;
          case 'skipped':
            skipped.push(row);
            break;
          case 'forbidden':
            pending.reject(
              new Error(`this login may not append to a context of ${pending.command.events.map(({ type }) => type).join(', ')}`),
            );
        }
      }
      if (grown.size > 0) this.onAppended?.([...grown]);
      if (repeated.length > 0) await this.resolveRepeated(repeated);
      return skipped.sort((a, b) => a.index - b.index).map(({ index }) => group[index] as PendingCommand);
    } catch (error) {
      // A command that the database cannot even read (an id that is no UUID) must not fail those that share its group.
      if (isStatementFault(error) && group.length > 1) {
        const skipped: PendingCommand[] = [];
        for (const pending of group) skipped.push(...(await this.commit([pending])));
        return skipped;
      }
      // Those that have their result already are not touched by this.
      for (const { reject } of group) reject(error);
      return [];
    }
  }

  private async resolveRepeated(repeated: { pending: PendingCommand; first: number; last: number }[]): Promise<void> {
    const rows = await this.query<EventRow & { request: string }>('log_ranges', RANGES, [
      repeated.map(({ pending }) => pending.tenantId),
      repeated.map(({ first }) => first),
      repeated.map(({ last }) => last),
    ]);
    const events = repeated.map((): StoredEvent[] => []);
    for (const row of rows) {
      const request = Number(row.request) - 1;
      events[request]?.push(upcast(eventOf(row, repeated[request]?.pending.tenantId as string), this.catalogue));
    }
    repeated.forEach(({ pending }, index) => {
      pending.resolve({ outcome: 'repeated', events: events[index] as StoredEvent[] });
    });
  }

  private async query<R extends QueryResultRow>(name: string, text: string, values: unknown[]): Promise<R[]> {
    return (await this.persistently<R>(name, text, values)).rows;
  }

  /** Runs one statement; where the connection fails, again, until `retryForMs` have passed. */
  private async persistently<R extends QueryResultRow>(
    name: string,
    text: string,
    values: unknown[],
  ): Promise<{ rows: R[]; attempts: number }> {
    const end = performance.now() + this.retryForMs;
    for (let attempts = 1; ; attempts++) {
      try {
        return { rows: (await this.pool.query<R>({ name, text, values })).rows, attempts };
      } catch (error) {
        if (!isTransient(error)) throw error;
        const waitMs = Math.min(1_000, 25 * 2 ** attempts) * (0.5 + Math.random() / 2);
        if (performance.now() + waitMs > end) throw new DomainError('service.unavailable', { cause: error, retryAfterSeconds: 5 });
        await sleep(waitMs);
      }
    }
  }
}

// The events are JSON already: written once, measured and sent as the same text.
const groupText = (group: PendingCommand[]): string =>
  `[${group
    .map(({ command, measured }) => {
      const head = {
        tenant: command.tenantId,
        id: command.commandId,
        hmac: command.requestHmac,
        stream: command.stream,
        expected: command.expectedVersion,
        after: command.expectedEventId,
      };
      return `${JSON.stringify(head).slice(0, -1)},"events":[${measured.events.join(',')}]}`;
    })
    .join(',')}]`;

/** The events of a command as the log has them now: what was sent, and what the log answered. */
function stored({ tenantId, stream, expectedVersion, events }: AppendCommand, row: AppendRow): StoredEvent[] {
  const first = Number(row.first_position);
  return events.map((event, index) => {
    const previous = row.previous?.[index];
    return {
      ...event,
      tenantId,
      stream,
      position: first + index,
      streamVersion: expectedVersion + 1 + index,
      recordedAt: instantOf(Number(row.recorded_us?.[index])),
      leaf: row.leaves?.[index] as string,
      previousInContext: previous == null ? null : Number(previous),
    };
  });
}

const APPEND = 'SELECT * FROM log.append($1::text::jsonb)';

const STREAM = `SELECT is_event, ${readColumns} FROM log.read_stream($1, $2, $3, $4)`;

const LOGS = `SELECT request, head, ${readColumns} FROM log.read_logs($1, $2, $3, $4, $5)`;

const RANGES = `SELECT r.request, ${eventColumns('e')}
  FROM unnest($1::uuid[], $2::bigint[], $3::bigint[]) WITH ORDINALITY AS r(tenant_id, first, last, request)
  JOIN log.events e ON e.tenant_id = r.tenant_id AND e.position BETWEEN r.first AND r.last
  ORDER BY r.request, e.position`;

const HEADS = `SELECT h.tenant_id, h.position FROM log.heads h
  WHERE h.position >= 0 AND ($1::uuid IS NULL OR h.tenant_id > $1) ORDER BY h.tenant_id LIMIT $2`;

const HEADS_OF = `SELECT h.tenant_id, h.position FROM log.heads h
  WHERE h.tenant_id = ANY ($1::uuid[]) AND h.position >= 0 AND ($2::uuid IS NULL OR h.tenant_id > $2) ORDER BY h.tenant_id LIMIT $3`;
