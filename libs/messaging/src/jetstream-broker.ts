import { setTimeout as sleep } from 'node:timers/promises';
import { AckPolicy, DeliverPolicy, JetStreamApiError, type JetStreamClient, jetstream, jetstreamManager } from '@nats-io/jetstream';
import type { MsgHdrs, NatsConnection } from '@nats-io/transport-node';
import type { Logger } from '@tenantry/observability/logger';
import { AcknowledgedPublisher } from './acknowledged-publisher.js';
import { type Acknowledgement, Broker, type OutgoingMessage, type StoredMessage, type StreamState } from './broker.js';
import { headersOf, subjectOf } from './cloud-event.js';
import { ensureEventStream, eventStream } from './event-stream.js';

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const pageSize = 5_000;
const streamNotFound = 10059;
/** In which a server has removed the files of a stream that was ended. */
const REMOVAL_MS = 1_000;

export interface JetStreamBrokerParts {
  nats: NatsConnection;
  logger: Logger;
  /** Copies of the stream among the brokers. */
  replicas: number;
  publishTimeoutMs: number;
  /** Of the inboxes that this connection may hear. */
  inboxPrefix: string;
}

/** NATS JetStream, from server 2.9 on. */
export class JetStreamBroker extends Broker {
  private readonly client: JetStreamClient;
  private readonly publisher: AcknowledgedPublisher;
  private readonly timeoutMs: number;
  private wasThere = false;

  constructor(private readonly parts: JetStreamBrokerParts) {
    super();
    this.timeoutMs = Math.min(parts.publishTimeoutMs, 2_000);
    this.client = jetstream(parts.nats, { timeout: parts.publishTimeoutMs });
    this.publisher = new AcknowledgedPublisher(parts.nats, parts.inboxPrefix, parts.publishTimeoutMs);
  }

  override connection(): string {
    const info = this.parts.nats.info;
    return info ? `${info.server_id}/${info.client_id}` : 'none';
  }

  override async ensureStream(): Promise<StreamState> {
    // While somebody ends it, its name is free before its files are gone: one that is made at once loses its own with them, and takes nothing.
    if (this.wasThere && (await this.state()) === null) await sleep(REMOVAL_MS);
    await ensureEventStream(this.parts.nats, this.parts.replicas, this.timeoutMs);
    const state = await this.state();
    if (!state) throw new Error(`Stream ${eventStream} went away as soon as it was made`);
    return state;
  }

  override async state(): Promise<StreamState | null> {
    const manager = await this.manager();
    try {
      const { created, state, cluster } = await manager.streams.info(eventStream);
      this.wasThere = true;
      return {
        created,
        firstSequence: state.messages === 0 ? state.last_seq + 1 : state.first_seq,
        lastSequence: state.last_seq,
        deleted: state.num_deleted ?? 0,
        leader: cluster?.leader ?? '',
      };
    } catch (error) {
      if (error instanceof JetStreamApiError && error.code === streamNotFound) return null;
      throw error;
    }
  }

  override publish({ event, body, messageId }: OutgoingMessage): Promise<Acknowledgement> {
    return this.publisher.publish(subjectOf(event), body, [['Nats-Msg-Id', messageId], ...headersOf(event)]);
  }

  override async message(sequence: number): Promise<StoredMessage | null> {
    const message = await (await this.manager()).streams.getMessage(eventStream, { seq: sequence });
    return message ? storedMessage(message.seq, message.header) : null;
  }

  override async *scan(from: number, through: number): AsyncGenerator<StoredMessage[]> {
    if (from > through) return;
    const manager = await this.manager();
    const { name, num_pending } = await manager.consumers.add(eventStream, {
      ack_policy: AckPolicy.None,
      deliver_policy: DeliverPolicy.StartSequence,
      opt_start_seq: Math.max(1, from),
      headers_only: true,
      mem_storage: true,
      num_replicas: 1,
      inactive_threshold: 60_000_000_000,
    });
    try {
      const consumer = await this.client.consumers.get(eventStream, name);
      let pending = num_pending;
      while (pending > 0) {
        const page: StoredMessage[] = [];
        let seen = 0;
        for await (const message of await consumer.fetch({ max_messages: Math.min(pageSize, pending), expires: 10_000 })) {
          seen += 1;
          pending = message.seq >= through ? 0 : message.info.pending;
          const known = storedMessage(message.seq, message.headers);
          if (known && message.seq <= through) page.push(known);
        }
        // Whoever asks must not take a part for the whole.
        if (seen === 0) throw new Error(`Stream ${eventStream} stopped answering while it was looked through`);
        yield page;
      }
    } finally {
      await manager.consumers.delete(eventStream, name).catch((error: unknown) => {
        this.parts.logger.debug({ err: error }, 'A consumer ends by itself when nobody fetches');
      });
    }
  }

  override onNudge(nudged: (tenantIds: string[]) => void): () => void {
    const subscription = this.parts.nats.subscribe('tenantry.nudge', {
      callback: (error, message) => {
        if (error) this.parts.logger.warn({ err: error }, 'Nudges are refused');
        else nudged(this.readNudge(message.string()));
      },
    });
    return () => subscription.unsubscribe();
  }

  private readNudge(body: string): string[] {
    try {
      const { tenants } = JSON.parse(body) as { tenants?: unknown };
      if (Array.isArray(tenants)) return tenants.filter((tenantId) => typeof tenantId === 'string' && uuid.test(tenantId));
    } catch {
      this.parts.logger.warn({ bytes: body.length }, 'A nudge could not be read');
    }
    return [];
  }

  private manager() {
    return jetstreamManager(this.parts.nats, { checkAPI: false, timeout: this.timeoutMs });
  }
}

/** From its headers; null for something that somebody else put there. */
function storedMessage(sequence: number, headers: MsgHdrs | undefined): StoredMessage | null {
  const tenantId = headers?.get('ce-tenantid') ?? '';
  const eventId = headers?.get('ce-eventid') ?? '';
  const position = headers?.get('ce-position') ?? '';
  if (!uuid.test(tenantId) || !uuid.test(eventId) || !/^\d{1,15}$/.test(position)) return null;
  return { sequence, tenantId, eventId, position: Number(position) };
}
