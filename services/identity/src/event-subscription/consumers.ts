import type { NatsConnection } from '@nats-io/transport-node';
import { DomainError } from '@tenantry/contracts/errors';
import { EVENT_STREAM } from './account.js';

const TIMEOUT_MS = 5_000;
const SUBJECTS_PER_PAGE = 100_000;
const NANOS_PER_SECOND = 1_000_000_000;

/** Where a consumer begins; sequences are the stream's. */
export type Beginning =
  | { policy: 'all' }
  | { policy: 'new' }
  | { policy: 'by_start_sequence'; seq: number }
  | { policy: 'by_start_time'; time: string };

export interface ConsumerState {
  name: string;
  /** What it was made for: a consumer with another label is made again. */
  label: string;
  filterSubject: string;
  /** Sequences in the stream; 0 for none. Everything that matches up to there was delivered, or acknowledged. */
  delivered: number;
  acknowledged: number;
  /** Matching messages that were not delivered yet, and those that were but are not acknowledged. */
  pending: number;
  unacknowledged: number;
}
export interface StoredMessage {
  seq: number;
  time: string;
  header(name: string): string | null;
}
interface Info {
  name: string;
  config: Record<string, unknown>;
  delivered: { stream_seq: number };
  ack_floor: { stream_seq: number };
  num_pending: number;
  num_ack_pending: number;
}

/** What a consumer that is not the first one begins with, and every other setting of it. */
const settings = {
  ack_policy: 'explicit',
  replay_policy: 'instant',
  ack_wait: 30 * NANOS_PER_SECOND,
  max_ack_pending: 1_000,
  max_waiting: 64,
  max_batch: 1_000,
  max_expires: 60 * NANOS_PER_SECOND,
};

/** Durable pull consumers of the event stream, over the platform's own account. */
export class Consumers {
  constructor(private readonly nats: NatsConnection) {}

  /** When the stream was made; null where there is none. @throws DomainError `event_subscription.broker_unavailable` */
  async created(): Promise<string | null> {
    const found = await this.call<{ created: string }>(`STREAM.INFO.${EVENT_STREAM}`);
    // In milliseconds: finer digits would be rounded on the way through the database, and this is compared.
    return found && new Date(found.created).toISOString();
  }

  /** How many messages the stream has on the subjects. @throws DomainError `event_subscription.broker_unavailable` */
  async messages(subjects: string): Promise<number> {
    let found = 0;
    for (let offset = 0; ; ) {
      const { state } = await this.required<{ state: { subjects?: Record<string, number> } }>(`STREAM.INFO.${EVENT_STREAM}`, {
        subjects_filter: subjects,
        offset,
      });
      const counts = Object.values(state.subjects ?? {});
      for (const count of counts) found += count;
      offset += counts.length;
      // A page has up to 100,000 subjects; a tenant has as many as there are types of events.
      if (counts.length < SUBJECTS_PER_PAGE) return found;
    }
  }

  async find(name: string): Promise<ConsumerState | null> {
    const info = await this.call<Info>(`CONSUMER.INFO.${EVENT_STREAM}.${name}`);
    return info && stateOf(info);
  }

  /** All consumers of the stream, whosever. */
  async list(): Promise<ConsumerState[]> {
    const found: ConsumerState[] = [];
    for (;;) {
      const page = await this.required<{ total: number; consumers?: Info[] | null }>(`CONSUMER.LIST.${EVENT_STREAM}`, {
        offset: found.length,
      });
      const consumers = page.consumers ?? [];
      found.push(...consumers.map(stateOf));
      if (consumers.length === 0 || found.length >= page.total) return found;
    }
  }

  /**
   * Makes a consumer. Old servers ignore options that they don't know, so what was made is read back.
   * @throws DomainError `event_subscription.broker_unavailable`; nothing is left behind where a setting is missing
   */
  async create(name: string, label: string, filterSubject: string, beginning: Beginning): Promise<ConsumerState> {
    const config = {
      ...settings,
      ...{ durable_name: name, description: label, filter_subject: filterSubject, deliver_policy: beginning.policy },
      ...(beginning.policy === 'by_start_sequence' ? { opt_start_seq: beginning.seq } : {}),
      ...(beginning.policy === 'by_start_time' ? { opt_start_time: beginning.time } : {}),
    };
    const info = await this.required<Info>(`CONSUMER.DURABLE.CREATE.${EVENT_STREAM}.${name}`, { stream_name: EVENT_STREAM, config });
    const wrong = Object.entries(config).filter(([option, value]) => !sameSetting(info.config[option], value));
    if (wrong.length > 0) {
      await this.remove(name);
      throw unavailable(`The broker does not keep ${wrong.map(([option]) => option).join(', ')} of a consumer`);
    }
    return stateOf(info);
  }

  /** Ends it, and every request for messages that waits at it. Nothing happens where there is none. */
  async remove(name: string): Promise<void> {
    await this.call(`CONSUMER.DELETE.${EVENT_STREAM}.${name}`);
  }

  /** The first message of the subject at the sequence or after it; null where there is none. */
  async nextMessage(subject: string, seq: number): Promise<StoredMessage | null> {
    return this.message({ seq, next_by_subj: subject });
  }
  async messageAt(seq: number): Promise<StoredMessage | null> {
    return this.message({ seq });
  }

  private async message(request: Record<string, unknown>): Promise<StoredMessage | null> {
    const found = await this.call<{ message: { seq: number; time: string; hdrs?: string } }>(`STREAM.MSG.GET.${EVENT_STREAM}`, request);
    if (!found) return null;
    const { seq, time, hdrs } = found.message;
    const lines = Buffer.from(hdrs ?? '', 'base64')
      .toString('utf8')
      .split('\r\n');
    return {
      seq,
      time,
      header: (name) => {
        const line = lines.find((text) => text.toLowerCase().startsWith(`${name.toLowerCase()}:`));
        return line === undefined ? null : line.slice(name.length + 1).trim();
      },
    };
  }

  private async required<T>(operation: string, request?: unknown): Promise<T> {
    const found = await this.call<T>(operation, request);
    if (!found) throw unavailable(`The broker has no stream ${EVENT_STREAM} yet`);
    return found;
  }

  /** Null where what is named isn't there. */
  private async call<T>(operation: string, request?: unknown): Promise<T | null> {
    let reply: { error?: { code: number; description: string } };
    try {
      const body = request === undefined ? '' : JSON.stringify(request);
      reply = (await this.nats.request(`$JS.API.${operation}`, body, { timeout: TIMEOUT_MS })).json();
    } catch (error) {
      throw unavailable('The broker did not answer', error);
    }
    if (reply.error?.code === 404) return null;
    if (reply.error) throw unavailable(`The broker refused: ${reply.error.description}`);
    return reply as T;
  }
}

const unavailable = (detail: string, cause?: unknown) =>
  new DomainError('event_subscription.broker_unavailable', { detail, cause, retryAfterSeconds: 2 });

const stateOf = ({ name, config, delivered, ack_floor, num_pending, num_ack_pending }: Info): ConsumerState => ({
  name,
  label: String(config['description'] ?? ''),
  filterSubject: String(config['filter_subject'] ?? ''),
  delivered: delivered.stream_seq,
  acknowledged: ack_floor.stream_seq,
  pending: num_pending,
  unacknowledged: num_ack_pending,
});

/** Instants may come back with other digits. */
const sameSetting = (has: unknown, wanted: unknown): boolean =>
  has === wanted || (typeof has === 'string' && typeof wanted === 'string' && Date.parse(has) === Date.parse(wanted));
