import type { Context, EventMetadata, StoredEvent } from '@tenantry/contracts/events';

/** An event ready to be appended: personal fields are encrypted, the body hash is computed. */
export interface PreparedEvent {
  id: string;
  context: Context;
  type: string;
  version: number;
  data: unknown;
  metadata: EventMetadata;
  /** SHA-256 (hex), see `hash.ts`. */
  bodyHash: string;
}

export interface AppendCommand {
  tenantId: string;
  /** Ids of appended commands last for ever: a repeat gets the first result. */
  commandId: string;
  /** HMAC (hex) of the request under the tenant's key; null for commands that are not a person's request. Another one under the same id is refused. */
  requestHmac: string | null;
  stream: string;
  /** Version of the stream's last event, -1 for a stream that does not exist. */
  expectedVersion: number;
  /**
   * Id of the event expected at `expectedVersion`; not checked where it is undefined. A command that was decided on what another one
   * was about to append names that one's last event: the version alone may meanwhile be somebody else's.
   */
  expectedEventId?: string;
  /** At least one. ≤ 256 KiB each, ≤ 512 KiB together. */
  events: PreparedEvent[];
}

export interface AppendResult {
  outcome: 'appended' | 'repeated';
  /** The events of the command, as stored, whoever appended them. */
  events: StoredEvent[];
}

export interface StreamSlice {
  events: StoredEvent[];
  /** Events that the command appended before (on whichever stream), null where the id is new. */
  command: { stream: string; requestHmac: string | null; firstPosition: number; lastPosition: number } | null;
}

export interface LogSlice {
  /** Matching events in position order. */
  events: StoredEvent[];
  /** Everything up to and including this position was looked at; `from - 1` when there was nothing. */
  scannedTo: number;
  /** Last position of the log, -1 for an empty one. */
  head: number;
}

export interface Head {
  tenantId: string;
  position: number;
}

/** One gapless log per tenant. All adapters pass `conformance.ts`. Events come back upcast to today's version; unknown types as they are. */
export abstract class EventStore {
  /** @throws DomainError `log.conflict` (another version, or another event at it, than expected), `idempotency.mismatch`, `log.event_too_large` */
  abstract append(command: AppendCommand): Promise<AppendResult>;
  /** The whole stream from `fromVersion` on and, in the same round trip, what is known of a command id. */
  abstract readStream(tenantId: string, stream: string, options?: { fromVersion?: number; commandId?: string }): Promise<StreamSlice>;
  /** Events of the log from position `from` on (inclusive). `limit` counts matches; a page may scan far and match nothing. */
  abstract readLog(tenantId: string, from: number, options?: { types?: readonly string[]; limit?: number }): Promise<LogSlice>;
  /** The same for many logs in one round trip; `limit` is per log. */
  abstract readLogs(
    requests: { tenantId: string; from: number }[],
    options?: { types?: readonly string[]; limit?: number },
  ): Promise<Map<string, LogSlice>>;
  /** Heads of the named logs, or of all, in pages by tenant id. */
  abstract heads(options?: { tenantIds?: readonly string[]; after?: string; limit?: number }): Promise<Head[]>;
  /** Called once per group after its commit, with the logs that grew. */
  onAppended?: (tenantIds: string[]) => void;
}
