import type { Msg, MsgHdrs, NatsConnection, Subscription } from '@nats-io/transport-node';
import { createInbox } from '@nats-io/transport-node';
import type { Acknowledgement } from './broker.js';

interface Pending {
  resolve: (acknowledgement: Acknowledgement) => void;
  reject: (error: Error) => void;
  endMs: number;
}

/**
 * Publishes to JetStream with one subscription for all acknowledgements and one timer for all timeouts. The client's own `publish` makes a
 * request, an error and a timer for each message, which costs more than the message.
 */
export class AcknowledgedPublisher {
  private readonly pending = new Map<string, Pending>();
  private readonly prefix: string;
  private subscription: Subscription | undefined;
  private timer: NodeJS.Timeout | undefined;
  private count = 0;
  /**
   * Reply subjects to use again. Everybody who hears an event gets its reply subject as well, and the server remembers each of them for
   * those who may answer requests: for their whole time to live, and beyond 4,096 of them it goes through all with every message. A few that
   * come again and again cost nothing.
   */
  private readonly free: string[] = [];

  /** @param inboxPrefix which inboxes this connection may hear */
  constructor(
    private readonly nats: NatsConnection,
    inboxPrefix: string,
    private readonly timeoutMs: number,
  ) {
    this.prefix = `${createInbox(inboxPrefix)}.`;
  }

  publish(subject: string, body: Uint8Array, headers: [name: string, value: string][]): Promise<Acknowledgement> {
    this.subscription ??= this.nats.subscribe(`${this.prefix}*`, {
      callback: (error, message) => {
        if (error) this.rejectAll(error);
        else this.answered(message);
      },
    });
    this.timer ??= setInterval(() => this.expire(), Math.min(250, this.timeoutMs));
    const token = this.free.pop() ?? String(++this.count);
    return new Promise((resolve, reject) => {
      this.pending.set(token, { resolve, reject, endMs: performance.now() + this.timeoutMs });
      try {
        this.nats.publish(subject, body, { reply: this.prefix + token, headers: encoded(headers) });
      } catch (error) {
        this.pending.delete(token);
        this.free.push(token);
        reject(error as Error);
      }
    });
  }

  private answered(message: Msg): void {
    const token = message.subject.slice(this.prefix.length);
    const pending = this.pending.get(token);
    if (!pending) return;
    this.pending.delete(token);
    this.free.push(token);
    try {
      pending.resolve(acknowledgementIn(message));
    } catch (error) {
      pending.reject(error as Error);
    }
  }

  /** The oldest come first. Without anything under way the timer ends, and with it the reason to keep the process alive. */
  private expire(): void {
    const nowMs = performance.now();
    for (const [token, { endMs, reject }] of this.pending) {
      if (endMs > nowMs) return;
      this.pending.delete(token);
      // Its reply subject is not used again: the answer may still come, and must not be taken for another message's.
      reject(new Error(`JetStream has not acknowledged within ${this.timeoutMs} ms`));
    }
    clearInterval(this.timer);
    this.timer = undefined;
  }

  private rejectAll(error: Error): void {
    for (const { reject } of this.pending.values()) reject(error);
    this.pending.clear();
    this.subscription = undefined;
  }
}

/** @throws Error where nobody listens, or JetStream refuses */
function acknowledgementIn(message: Msg): Acknowledgement {
  if (message.data.length === 0 && message.headers?.code === 503) throw new Error('No stream takes the message: JetStream is away');
  const { seq, duplicate, error } = message.json<{ seq?: number; duplicate?: boolean; error?: { code: number; description: string } }>();
  if (error) throw new Error(`JetStream refused the message: ${error.code} ${error.description}`);
  if (typeof seq !== 'number') throw new Error('JetStream answered something else than an acknowledgement');
  return { sequence: seq, duplicate: duplicate === true };
}

const encoder = new TextEncoder();
/** Headers that are written only once: of all methods, publishing calls this one. */
const encoded = (headers: [name: string, value: string][]): MsgHdrs => {
  let text = 'NATS/1.0\r\n';
  for (const [name, value] of headers) text += `${name}: ${/[\r\n]/.test(value) ? value.replaceAll(/[\r\n]/g, ' ') : value}\r\n`;
  return { encode: () => encoder.encode(`${text}\r\n`) } as unknown as MsgHdrs;
};
