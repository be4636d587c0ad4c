import {
  AccessDeniedError,
  BACKWARDS,
  END,
  type EventStoreDBClient,
  FORWARDS,
  type Position,
  type RecordedEvent,
  StreamDeletedError,
  StreamNotFoundError,
} from '@eventstore/db-client';
import { type Appended, AppendStream } from './append-stream.js';
import { type RawEvent, readRaw } from './inside.js';
import type { ProposedEvent } from './recorded.js';

/** The server holds something that no waiting cures: a deleted stream, a refused login, a setting. */
export class ServerRefuses extends Error {}

/** Whether an error says what the server wants, other than that it isn't reached. */
const refusal = (error: unknown): ServerRefuses | null => {
  if (error instanceof StreamDeletedError) return new ServerRefuses('KurrentDB: the stream of the log was deleted', { cause: error });
  if (error instanceof AccessDeniedError)
    return new ServerRefuses('KurrentDB: the login of the connection string may not do this', { cause: error });
  // As it comes without the client's reading of it.
  const exception = (error as { metadata?: { get?: (key: string) => unknown[] } }).metadata?.get?.('exception')?.[0];
  if (exception === 'access-denied')
    return new ServerRefuses('KurrentDB: the login of the connection string may not do this', { cause: error });
  return error instanceof ServerRefuses ? error : null;
};

export const isRefusal = (error: unknown): error is ServerRefuses => error instanceof ServerRefuses;

export interface ServerOptions {
  /** After this long without an answer, a call counts as not answered. */
  timeoutMs: number;
}

/** The calls of the client as the adapter needs them: always the leader, an end to each, and errors sorted. */
export class Server {
  private readonly appends: AppendStream;

  constructor(
    private readonly client: EventStoreDBClient,
    private readonly options: ServerOptions,
  ) {
    this.appends = new AppendStream(client);
  }

  /**
   * Appends at an exact revision, -1 for a stream that doesn't exist. `done` says that events of these ids follow the revision; whether their
   * bytes are these as well, only reading tells (the server compares ids).
   */
  append(stream: string, events: readonly ProposedEvent[], revision: number, timeoutMs = this.options.timeoutMs): Promise<Appended> {
    return this.appends.append(stream, events, revision, timeoutMs);
  }

  /** Events of a stream from a revision on; none where the stream doesn't exist or ends before. */
  async read(stream: string, fromRevision: number, maxCount: number): Promise<RecordedEvent[]> {
    const events: RecordedEvent[] = [];
    const reading = this.client.readStream(stream, {
      fromRevision: BigInt(fromRevision),
      maxCount,
      direction: FORWARDS,
      requiresLeader: true,
    });
    try {
      await limited(
        this.options.timeoutMs,
        (async () => {
          for await (const { event } of reading) if (event) events.push(event);
        })(),
      );
      return events;
    } catch (error) {
      if (error instanceof StreamNotFoundError) return [];
      await reading.cancel().catch(() => undefined); // it failed already, which is what is reported
      throw refusal(error) ?? error;
    }
  }

  /** Events from a place on, not parsed. */
  async readRaw(from: { position: Position } | { stream: string; revision: number }, count: number): Promise<RawEvent[]> {
    try {
      return await limited(this.options.timeoutMs, readRaw(this.client, from, count, this.options.timeoutMs));
    } catch (error) {
      throw refusal(error) ?? error;
    }
  }

  /** Position of the last record of `$all`. */
  async end(): Promise<Position | null> {
    const reading = this.client.readAll({ fromPosition: END, maxCount: 1, direction: BACKWARDS, requiresLeader: true });
    try {
      return await limited(
        this.options.timeoutMs,
        (async () => {
          let position: Position | null = null;
          for await (const { event } of reading) position = event?.position ?? null;
          return position;
        })(),
      );
    } catch (error) {
      await reading.cancel().catch(() => undefined); // it failed already, which is what is reported
      throw refusal(error) ?? error;
    }
  }
}

async function limited<T>(timeoutMs: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`KurrentDB did not answer within ${timeoutMs} ms`)), timeoutMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
    // Its failure after the time is nobody's any more.
    work.catch(() => undefined);
  }
}
