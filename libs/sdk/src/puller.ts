import { createInbox, type Msg, type NatsConnection, type Subscription } from '@nats-io/transport-node';

/** A message that is to be acknowledged, and what the broker says about it. */
export interface Pulled {
  message: Msg;
  /** Sequence in the stream: grows with what was published. */
  streamSequence: number;
  /** Messages of the consumer that were not delivered yet when this one was. */
  pending: number;
  ack(): void;
  /** Deliver it again, after a while where one is given. */
  again(delayMs?: number): void;
  /** It is being worked on: the time to acknowledge begins anew. */
  working(): void;
  /** Never deliver it again: it is no event. */
  refuse(): void;
}

export interface PullerOptions {
  connection: NatsConnection;
  stream: string;
  consumer: string;
  inboxPrefix?: string;
  /** How many messages may come now; asked before each request. */
  room: () => number;
  onMessage: (pulled: Pulled) => void;
  /** Everything that the consumer has was delivered. */
  onDrained: () => void;
  /** The consumer can't be pulled from: paused, revoked, or gone. It goes on by itself. */
  onRefused: (reason: string) => void;
}

const LONG_POLL_MS = 30_000;
const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 10_000;
const NO_MESSAGES = 404;
const TIMED_OUT = 408;
const NANOS_PER_MS = 1_000_000;

/**
 * Fetches from one durable pull consumer, one request at a time. It speaks the broker's protocol itself, because the credentials of a
 * subscription allow just that: to fetch and to acknowledge, not to ask about consumers.
 */
export class Puller {
  private readonly subject: string;
  private readonly inbox: string;
  private readonly subscription: Subscription;
  /** Messages that the request under way may still bring; 0 for none under way. */
  private open = 0;
  private timer: NodeJS.Timeout | undefined;
  private failures = 0;
  private stopped = false;
  private drained = false;

  constructor(private readonly options: PullerOptions) {
    const { connection, stream, consumer, inboxPrefix } = options;
    this.subject = `$JS.API.CONSUMER.MSG.NEXT.${stream}.${consumer}`;
    this.inbox = createInbox(inboxPrefix);
    this.subscription = connection.subscribe(this.inbox, {
      callback: (error, message) => {
        if (error) options.onRefused(error.message);
        else this.received(message);
      },
    });
    this.pull();
  }

  /** Asks for more where there is room again. */
  pull(): void {
    if (this.stopped || this.options.connection.isClosed() || this.open > 0 || this.timer !== undefined) return;
    const batch = this.options.room();
    if (batch <= 0) return;
    this.open = batch;
    // The first requests after a start answer at once when there is nothing: so it is known that everything was delivered.
    const wait = this.drained ? { expires: LONG_POLL_MS * NANOS_PER_MS } : { no_wait: true };
    this.options.connection.publish(this.subject, JSON.stringify({ batch, ...wait }), { reply: this.inbox });
    // A broker that was lost meanwhile never answers.
    this.later(this.drained ? LONG_POLL_MS + 5_000 : 5_000, () => this.ended());
  }

  /** The connection came back: what was asked for before will not come. */
  reconnected(): void {
    this.drained = false;
    this.ended();
  }

  stop(): void {
    this.stopped = true;
    clearTimeout(this.timer);
    this.subscription.unsubscribe();
  }

  private received(message: Msg): void {
    if (this.stopped) return;
    const code = message.headers?.code ?? 0;
    if (code >= 400) {
      this.refused(code, message.headers?.description ?? '');
      return;
    }
    const info = deliveryOf(message.reply);
    if (!info) return;
    this.failures = 0;
    this.open -= 1;
    const { connection } = this.options;
    // Over a closed connection nothing can be said: the broker delivers it again by itself.
    const say = (word: string) => () => {
      if (!connection.isClosed()) connection.publish(message.reply as string, word);
    };
    this.options.onMessage({
      message,
      ...info,
      ack: say('+ACK'),
      working: say('+WPI'),
      refuse: say('+TERM'),
      again: (delayMs) => say(delayMs === undefined ? '-NAK' : `-NAK {"delay": ${Math.round(delayMs * NANOS_PER_MS)}}`)(),
    });
    if (info.pending === 0) this.isDrained();
    if (this.open === 0) this.ended();
  }

  private refused(code: number, description: string): void {
    if (code === NO_MESSAGES || code === TIMED_OUT) {
      this.isDrained();
      this.ended();
      return;
    }
    this.options.onRefused(`${code} ${description}`.trim());
    this.open = 0;
    this.failures += 1;
    this.later(Math.min(FIRST_PAUSE_MS * 2 ** (this.failures - 1), LONGEST_PAUSE_MS), () => this.ended());
  }

  private isDrained(): void {
    this.drained = true;
    this.options.onDrained();
  }

  private ended(): void {
    this.open = 0;
    clearTimeout(this.timer);
    this.timer = undefined;
    this.pull();
  }

  private later(ms: number, work: () => void): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(work, ms);
  }
}

/** Out of `$JS.ACK.<stream>.<consumer>.<delivered>.<stream seq>.<consumer seq>.<time>.<pending>`; newer brokers put a domain and an account before, a token after. */
function deliveryOf(reply: string | undefined): { streamSequence: number; pending: number } | null {
  const tokens = reply?.split('.') ?? [];
  if (tokens[0] !== '$JS' || tokens[1] !== 'ACK') return null;
  const offset = tokens.length >= 11 ? 2 : 0;
  const streamSequence = Number(tokens[5 + offset]);
  const pending = Number(tokens[8 + offset]);
  return Number.isSafeInteger(streamSequence) && Number.isSafeInteger(pending) ? { streamSequence, pending } : null;
}
