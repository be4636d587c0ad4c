import type { EventStoreDBClient, Position } from '@eventstore/db-client';
import shared from '@eventstore/db-client/generated/shared_pb.js';
import type { BatchAppendReq, BatchAppendResp } from '@eventstore/db-client/generated/streams_pb.js';
import messages from '@eventstore/db-client/generated/streams_pb.js';
import { appendCalls, streamIdentifier } from './inside.js';
import type { ProposedEvent } from './recorded.js';

/**
 * What became of an append. `wrong`: the stream's end is another. `unknown`: it may have been done, be done later, or never. `refused`: as
 * long as nothing is changed there, it never will be.
 */
export type Appended =
  | { outcome: 'done'; position: Position }
  | { outcome: 'wrong' }
  | { outcome: 'unknown'; cause: unknown }
  | { outcome: 'refused'; reason: string };

type Duplex = Awaited<ReturnType<ReturnType<typeof appendCalls>>>;

interface Pending {
  on: Promise<Duplex>;
  settle: (result: Appended) => void;
}

/**
 * Appends of all logs over one gRPC stream, which is made when it is needed and again after it broke. In the place of the client's
 * `appendToStream`, which keeps the appends under way in one table for all streams and connections: a stream that breaks rejects those of the
 * others, and their answers then end the process. Nor does it ever give up on an answer.
 */
export class AppendStream {
  private readonly pending = new Map<string, Pending>();
  private stream: Promise<Duplex> | null = null;
  private lastId = 0;
  private readonly open: () => Promise<Duplex>;

  constructor(client: EventStoreDBClient) {
    this.open = appendCalls(client);
  }

  /** @param revision of the stream's last event, -1 for a stream that doesn't exist */
  append(stream: string, events: readonly ProposedEvent[], revision: number, timeoutMs: number): Promise<Appended> {
    const id = String(++this.lastId);
    const request = requestOf(id, stream, events, revision);
    return new Promise((resolve) => {
      const on = this.current();
      const timer = setTimeout(
        () => settle({ outcome: 'unknown', cause: new Error(`KurrentDB did not answer within ${timeoutMs} ms`) }),
        timeoutMs,
      );
      const settle = (result: Appended) => {
        clearTimeout(timer);
        this.pending.delete(id);
        resolve(result);
      };
      this.pending.set(id, { on, settle });
      on.then(
        (duplex) => duplex.write(request),
        (cause: unknown) => settle({ outcome: 'unknown', cause }),
      );
    });
  }

  private current(): Promise<Duplex> {
    if (this.stream) return this.stream;
    const opening = this.open();
    this.stream = opening;
    const over = (cause: unknown) => {
      if (this.stream === opening) this.stream = null;
      for (const { on, settle } of this.pending.values()) if (on === opening) settle({ outcome: 'unknown', cause });
    };
    opening.then((duplex) => {
      duplex.on('data', (response: BatchAppendResp) => this.answered(response));
      duplex.on('error', over);
      duplex.on('end', () => over(new Error('KurrentDB ended the stream of appends')));
    }, over);
    return opening;
  }

  private answered(response: BatchAppendResp): void {
    // Whoever gave up on it isn't there any more.
    this.pending.get(idOf(response))?.settle(resultOf(response));
  }
}

function requestOf(id: string, stream: string, events: readonly ProposedEvent[], revision: number): BatchAppendReq {
  const options = new messages.BatchAppendReq.Options();
  options.setStreamIdentifier(streamIdentifier(stream));
  if (revision < 0) options.setNoStream(new shared.Empty() as never);
  else options.setStreamPosition(String(revision));
  const structured = new shared.UUID.Structured();
  structured.setMostSignificantBits('0');
  structured.setLeastSignificantBits(id);
  const correlation = new shared.UUID();
  correlation.setStructured(structured);
  const request = new messages.BatchAppendReq();
  request.setOptions(options);
  request.setCorrelationId(correlation);
  request.setIsFinal(true);
  request.setProposedMessagesList(events.map(messageOf));
  return request;
}

function messageOf({ id, type, data, metadata }: ProposedEvent): BatchAppendReq.ProposedMessage {
  const message = new messages.BatchAppendReq.ProposedMessage();
  const uuid = new shared.UUID();
  uuid.setString(id);
  message.setId(uuid);
  message.getMetadataMap().set('type', type).set('content-type', 'application/json');
  message.setData(data);
  message.setCustomMetadata(metadata);
  return message;
}

/** The number that the request had, in either of the two forms that an id may come back in. */
function idOf(response: BatchAppendResp): string {
  const id = response.getCorrelationId();
  const structured = id?.getStructured();
  if (structured) return structured.getLeastSignificantBits();
  return String(BigInt(`0x${(id?.getString() ?? '0').replaceAll('-', '').slice(-16)}`));
}

/** What the server says that no waiting cures. */
const refusals = new Map([
  ['StreamDeleted', 'the stream of the log was deleted'],
  ['AccessDenied', 'the login of the connection string may not append to it'],
  ['MaximumAppendSizeExceeded', 'its MaxAppendSize is below 1 MiB'],
]);

function resultOf(response: BatchAppendResp): Appended {
  const error = response.getError();
  if (error) {
    const kind = error.getDetails()?.getTypeName().split('.').at(-1) ?? '';
    if (kind === 'WrongExpectedVersion') return { outcome: 'wrong' };
    const reason = refusals.get(kind);
    if (reason !== undefined) return { outcome: 'refused', reason };
    return { outcome: 'unknown', cause: new Error(`KurrentDB: ${kind} ${error.getMessage()}`) };
  }
  const position = response.getSuccess()?.getPosition();
  if (!position) return { outcome: 'unknown', cause: new Error('KurrentDB gave no position') };
  return { outcome: 'done', position: { commit: BigInt(position.getCommitPosition()), prepare: BigInt(position.getPreparePosition()) } };
}
