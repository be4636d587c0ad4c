import type { EventStoreDBClient, Position } from '@eventstore/db-client';
import shared from '@eventstore/db-client/generated/shared_pb.js';
import services, { type StreamsClient } from '@eventstore/db-client/generated/streams_grpc_pb.js';
import type { ReadReq, ReadResp } from '@eventstore/db-client/generated/streams_pb.js';
import messages from '@eventstore/db-client/generated/streams_pb.js';

/** What the client has for its own use, of the exact version that pnpm-workspace.yaml names. */
interface Inside {
  GRPCStreamCreator<T>(service: unknown, name: string, create: (client: StreamsClient) => T): () => Promise<T>;
  callArguments(options: { requiresLeader: boolean }, call: { deadline: number | Date }): Parameters<StreamsClient['batchAppend']>;
}

type AppendCall = ReturnType<StreamsClient['batchAppend']>;

/** Makes the stream of appends. The client's own wrapper finds the leader, and a new connection after an error. */
export function appendCalls(client: EventStoreDBClient): () => Promise<AppendCall> {
  const inside = client as unknown as Inside;
  return inside.GRPCStreamCreator(services.StreamsClient, 'append', (grpc) =>
    grpc.batchAppend(...inside.callArguments({ requiresLeader: true }, { deadline: Number.POSITIVE_INFINITY })),
  );
}

/** An event as the server holds it, not parsed. */
export interface RawEvent {
  stream: string;
  revision: number;
  id: string;
  metadata: Uint8Array;
}

/** Events from a place in `$all` or in a stream on, both inclusive, without parsing them: they are only compared. */
export async function readRaw(
  client: EventStoreDBClient,
  from: { position: Position } | { stream: string; revision: number },
  count: number,
  timeoutMs: number,
): Promise<RawEvent[]> {
  const inside = client as unknown as Inside;
  const request = readRequest(from, count);
  const call = await inside.GRPCStreamCreator(services.StreamsClient, 'read', (grpc) =>
    grpc.read(request, ...inside.callArguments({ requiresLeader: true }, { deadline: new Date(Date.now() + timeoutMs) })),
  )();
  return new Promise((resolve, reject) => {
    const events: RawEvent[] = [];
    call.on('data', (response: ReadResp) => {
      const event = response.getEvent()?.getEvent();
      if (!event) return;
      events.push({
        stream: decoder.decode(event.getStreamIdentifier()?.getStreamName_asU8()),
        revision: Number(event.getStreamRevision()),
        id: event.getId()?.getString() ?? '',
        metadata: event.getCustomMetadata_asU8(),
      });
    });
    call.on('error', reject);
    call.on('end', () => resolve(events));
  });
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export function streamIdentifier(stream: string): InstanceType<typeof shared.StreamIdentifier> {
  const identifier = new shared.StreamIdentifier();
  identifier.setStreamName(encoder.encode(stream));
  return identifier;
}

const { Options } = messages.ReadReq;
// The generated type of this message is that of the runtime's own package; it has no fields.
const nothing = () => new shared.Empty() as never;

function readRequest(from: { position: Position } | { stream: string; revision: number }, count: number): ReadReq {
  const options = new Options();
  if ('stream' in from) {
    const of = new Options.StreamOptions();
    of.setStreamIdentifier(streamIdentifier(from.stream));
    of.setRevision(String(from.revision));
    options.setStream(of);
  } else {
    const position = new Options.Position();
    position.setCommitPosition(String(from.position.commit));
    position.setPreparePosition(String(from.position.prepare));
    const of = new Options.AllOptions();
    of.setPosition(position);
    options.setAll(of);
  }
  const ids = new Options.UUIDOption();
  ids.setString(nothing());
  options.setUuidOption(ids);
  options.setReadDirection(0);
  options.setResolveLinks(false);
  options.setNoFilter(nothing());
  options.setCount(String(count));
  const request = new messages.ReadReq();
  request.setOptions(options);
  return request;
}
