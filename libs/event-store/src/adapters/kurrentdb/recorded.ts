import type { RecordedEvent } from '@eventstore/db-client';
import { contexts, type EventMetadata, type StoredEvent } from '@tenantry/contracts/events';
import { z } from 'zod';

const prefix = 'tenantlog-';
/** The filter of `$all`: all logs and nothing else. */
export const logPrefixes = [prefix];
export const streamOf = (tenantId: string): string => `${prefix}${tenantId}`;

/** The command that an event belongs to, and where it stands in it: whatever is in the tables can be filled again from it. */
export interface CommandOf {
  id: string;
  /** Hex; null for a command that is no person's request. */
  requestHmac: string | null;
  firstPosition: number;
  lastPosition: number;
}

/** An event of a log with its command. */
export interface LogEvent {
  event: StoredEvent;
  command: CommandOf;
}

const hex = z.string().regex(/^[0-9a-f]{64}$/);
const count = z.number().int().min(0);
/** Beside the event's own metadata, what the log knows of it. */
const Metadata = z.looseObject({
  commandId: z.string(),
  actor: z.looseObject({ kind: z.string(), id: z.string() }),
  log: z.object({
    stream: z.string().min(1),
    streamVersion: count,
    recordedAt: z.string().regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/),
    bodyHash: hex,
    leaf: hex,
    previousInContext: count.nullable(),
    command: z.object({ id: z.string(), requestHmac: z.string().nullable(), index: count, count: z.number().int().min(1) }),
  }),
});

/** An event as it is sent to the server: JSON as bytes. Its revision becomes the position. */
export interface ProposedEvent {
  id: string;
  type: string;
  data: Uint8Array;
  metadata: Uint8Array;
}

const encoder = new TextEncoder();
const bytesOf = (value: unknown): Uint8Array => encoder.encode(JSON.stringify(value));

export function proposed({ event, command }: LogEvent): ProposedEvent {
  const { stream, streamVersion, recordedAt, bodyHash, leaf, previousInContext } = event;
  const { id, requestHmac, firstPosition, lastPosition } = command;
  const of = { id, requestHmac, index: event.position - firstPosition, count: lastPosition - firstPosition + 1 };
  const log = { stream, streamVersion, recordedAt, bodyHash, leaf, previousInContext, command: of };
  return {
    id: event.id,
    type: `${event.context}.${event.type}.v${event.version}`,
    data: bytesOf(event.data),
    metadata: bytesOf({ ...event.metadata, log }),
  };
}

/** What a stream of ours should not hold: written by something else, or damaged. */
export class ForeignEvent extends Error {}

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** @throws ForeignEvent that names stream and revision, never what is in the event */
export function logEventOf(recorded: RecordedEvent): LogEvent {
  const at = `revision ${recorded.revision} of ${recorded.streamId}`;
  const tenantId = recorded.streamId.slice(prefix.length);
  if (!recorded.streamId.startsWith(prefix) || !uuid.test(tenantId)) throw new ForeignEvent(`${at} is in no tenant's stream`);
  const type = /^([a-z]+)\.(.+)\.v([0-9]+)$/s.exec(recorded.type);
  const context = contexts.find((known) => known === type?.[1]);
  if (!type || context === undefined) throw new ForeignEvent(`${at} has a type that no service writes`);
  const read = Metadata.safeParse(recorded.metadata);
  if (!read.success) {
    throw new ForeignEvent(
      `${at} has other metadata than this platform's: ${read.error.issues.map(({ path }) => path.join('.')).join(', ')}`,
    );
  }
  const { log, ...metadata } = read.data;
  const position = Number(recorded.revision);
  const firstPosition = position - log.command.index;
  if (log.command.index >= log.command.count || firstPosition < 0) throw new ForeignEvent(`${at} is in no place of its command`);
  return {
    event: {
      tenantId,
      position,
      stream: log.stream,
      streamVersion: log.streamVersion,
      id: recorded.id,
      context,
      type: type[2] as string,
      version: Number(type[3]),
      data: recorded.data,
      metadata: metadata as unknown as EventMetadata,
      recordedAt: log.recordedAt,
      bodyHash: log.bodyHash,
      leaf: log.leaf,
      previousInContext: log.previousInContext,
    },
    command: {
      id: log.command.id,
      requestHmac: log.command.requestHmac,
      firstPosition,
      lastPosition: firstPosition + log.command.count - 1,
    },
  };
}
