import { DomainError } from '@tenantry/contracts/errors';
import type { StoredEvent } from '@tenantry/contracts/events';
import { instantOf, leafHash } from '../../hash.js';
import { measure } from '../../limits.js';
import { type AppendCommand, type AppendResult, EventStore, type Head, type LogSlice, type StreamSlice } from '../../port.js';
import { type EventCatalogue, upcast } from '../../upcast.js';

const DEFAULT_LIMIT = 500;

/** The logs themselves, by tenant. */
export type MemoryLogs = Map<string, Log>;

interface Log {
  events: StoredEvent[];
  streams: Map<string, StoredEvent[]>;
  commands: Map<string, NonNullable<StreamSlice['command']>>;
  contexts: Map<string, number>;
  timeUs: number;
}

/** Logs that live as long as the object: for tests of pure rules and of what stands on the port. */
export class MemoryEventStore extends EventStore {
  private readonly logs: MemoryLogs;

  private readonly wallMs: () => number;

  /** `logs`: those of another store, which then both see. `catalogue`: other than all event types. `wallMs`: other than the machine's time. */
  constructor(private readonly options: { catalogue?: EventCatalogue; logs?: MemoryLogs; wallMs?: () => number } = {}) {
    super();
    this.logs = options.logs ?? new Map();
    this.wallMs = options.wallMs ?? (() => performance.timeOrigin + performance.now());
  }

  override async append(command: AppendCommand): Promise<AppendResult> {
    measure(command);
    const { tenantId, stream } = command;
    const log = this.logs.get(tenantId) ?? emptyLog();
    const known = log.commands.get(command.commandId);
    if (known) {
      if (known.requestHmac !== command.requestHmac) throw new DomainError('idempotency.mismatch');
      return { outcome: 'repeated', events: this.out(log.events.slice(known.firstPosition, known.lastPosition + 1)) };
    }
    const before = log.streams.get(stream) ?? [];
    if (before.length - 1 !== command.expectedVersion) throw new DomainError('log.conflict');
    if (command.expectedEventId !== undefined && before.at(-1)?.id !== command.expectedEventId) throw new DomainError('log.conflict');
    const firstPosition = log.events.length;
    const added = command.events.map((event, index): StoredEvent => {
      log.timeUs = Math.max(Math.floor(this.wallMs() * 1000), log.timeUs + 1);
      const position = firstPosition + index;
      const streamVersion = before.length + index;
      const previousInContext = log.contexts.get(event.context) ?? null;
      log.contexts.set(event.context, position);
      return frozen({
        ...(JSON.parse(JSON.stringify(event)) as typeof event),
        tenantId,
        stream,
        position,
        streamVersion,
        recordedAt: instantOf(log.timeUs),
        leaf: leafHash({ position, streamVersion, recordedAtUs: log.timeUs, bodyHash: event.bodyHash }),
        previousInContext,
      });
    });
    log.events.push(...added);
    log.streams.set(stream, before);
    before.push(...added);
    const { requestHmac } = command;
    log.commands.set(command.commandId, { stream, requestHmac, firstPosition, lastPosition: log.events.length - 1 });
    this.logs.set(tenantId, log);
    this.onAppended?.([tenantId]);
    return { outcome: 'appended', events: this.out(added) };
  }

  override async readStream(
    tenantId: string,
    stream: string,
    options: { fromVersion?: number; commandId?: string } = {},
  ): Promise<StreamSlice> {
    const log = this.logs.get(tenantId);
    const command = options.commandId === undefined ? undefined : log?.commands.get(options.commandId);
    return {
      events: this.out((log?.streams.get(stream) ?? []).slice(options.fromVersion ?? 0)),
      command: command ? { ...command } : null,
    };
  }

  override async readLog(tenantId: string, from: number, options: { types?: readonly string[]; limit?: number } = {}): Promise<LogSlice> {
    const { types, limit = DEFAULT_LIMIT } = options;
    const log = this.logs.get(tenantId)?.events ?? [];
    const head = log.length - 1;
    const matching: StoredEvent[] = [];
    for (let position = from; position <= head && matching.length < limit; position++) {
      const event = log[position] as StoredEvent;
      if (!types || types.includes(event.type)) matching.push(event);
    }
    const full = matching.length === limit;
    return { events: this.out(matching), scannedTo: full ? (matching.at(-1)?.position ?? from - 1) : Math.max(head, from - 1), head };
  }

  override async readLogs(
    requests: { tenantId: string; from: number }[],
    options: { types?: readonly string[]; limit?: number } = {},
  ): Promise<Map<string, LogSlice>> {
    const slices = new Map<string, LogSlice>();
    for (const { tenantId, from } of requests) slices.set(tenantId, await this.readLog(tenantId, from, options));
    return slices;
  }

  override async heads(options: { tenantIds?: readonly string[]; after?: string; limit?: number } = {}): Promise<Head[]> {
    const { tenantIds, after, limit } = options;
    return [...this.logs]
      .map(([tenantId, log]) => ({ tenantId, position: log.events.length - 1 }))
      .filter(({ tenantId }) => (!tenantIds || tenantIds.includes(tenantId)) && (after === undefined || tenantId > after))
      .sort((a, b) => (a.tenantId < b.tenantId ? -1 : 1))
      .slice(0, limit);
  }

  private out(events: StoredEvent[]): StoredEvent[] {
    return events.map((event) => upcast(event, this.options.catalogue));
  }
}

/** Readers share what is stored: none of them may change it. */
function frozen<T extends object>(value: T): T {
  for (const inner of Object.values(value)) if (typeof inner === 'object' && inner !== null) frozen(inner);
  return Object.freeze(value);
}

const emptyLog = (): Log => ({ events: [], streams: new Map(), commands: new Map(), contexts: new Map(), timeUs: 0 });
