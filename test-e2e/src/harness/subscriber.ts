import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, credsAuthenticator, type Msg, type NatsConnection, PermissionViolationError } from '@nats-io/transport-node';
import { eventually } from '@tenantry/testing/eventually';

/** What an event subscription's creation answers (and its rotation). */
export interface Issued {
  id: string;
  natsUrl: string;
  stream: string;
  consumers: { name: string; filterSubject: string }[];
  inboxPrefix: string;
  credentials: string;
}
export interface Received {
  subject: string;
  tenantId: string;
  position: number;
  type: string;
  data: any;
  ack(): void;
}

/** Another system's connection: a plain NATS client with what the API gave it. */
export class Subscriber {
  private constructor(
    readonly connection: NatsConnection,
    readonly issued: Issued,
  ) {}

  static async open(issued: Issued, options: { inboxPrefix?: string; reconnect?: boolean } = {}): Promise<Subscriber> {
    const connection = await connect({
      servers: issued.natsUrl,
      authenticator: credsAuthenticator(new TextEncoder().encode(issued.credentials)),
      inboxPrefix: options.inboxPrefix ?? issued.inboxPrefix,
      reconnect: options.reconnect ?? false,
      reconnectTimeWait: 300,
      maxReconnectAttempts: -1,
    });
    return new Subscriber(connection, issued);
  }

  /** One request for messages: what came within the time. */
  async fetch({ consumer = 0, batch = 100, waitMs = 500 } = {}): Promise<Received[]> {
    const got: Received[] = [];
    const inbox = `${this.issued.inboxPrefix}.${randomUUID()}`;
    let ended = false;
    const subscription = this.connection.subscribe(inbox, {
      callback: (error, message) => {
        // 404, 408, 409: nothing, or nothing more. 503: nobody serves the request.
        if (error || message.headers?.hasError) ended = true;
        else got.push(received(message));
      },
    });
    const { name } = this.issued.consumers[consumer] as Issued['consumers'][number];
    this.connection.publish(
      `$JS.API.CONSUMER.MSG.NEXT.${this.issued.stream}.${name}`,
      JSON.stringify({ batch, expires: waitMs * 1_000_000 }),
      { reply: inbox },
    );
    const endMs = performance.now() + waitMs + 300;
    while (!ended && got.length < batch && performance.now() < endMs) await sleep(10);
    subscription.unsubscribe();
    return got;
  }

  /** Fetches and acknowledges until that many have come. */
  async take(count: number, { consumer = 0, timeoutMs = 15_000 } = {}): Promise<Received[]> {
    const got: Received[] = [];
    await eventually(
      async () => {
        for (const message of await this.fetch({ consumer, batch: count - got.length })) {
          message.ack();
          got.push(message);
        }
        if (got.length < count) throw new Error(`${got.length} of ${count} events came`);
        return true;
      },
      { timeoutMs, what: 'events' },
    );
    await this.connection.flush();
    return got;
  }

  /** Whether the broker refuses to take something on that subject (`publish`), a reply to that subject, or to deliver it (`subscribe`). */
  async refuses(what: 'publish' | 'subscribe', subject: string, reply?: string): Promise<boolean> {
    return (await this.violation(what, subject, reply)) !== null;
  }

  private async violation(what: 'publish' | 'subscribe', subject: string, reply?: string): Promise<PermissionViolationError | null> {
    const stop = new AbortController();
    let found: PermissionViolationError | null = null;
    const status = this.connection.status();
    const listening = (async () => {
      for await (const one of status) {
        if (stop.signal.aborted) return;
        if (one.type === 'error' && one.error instanceof PermissionViolationError) found = one.error;
      }
    })();
    const subscription = what === 'subscribe' ? this.connection.subscribe(subject, { callback: () => undefined }) : undefined;
    if (what === 'publish') this.connection.publish(subject, '{}', reply === undefined ? {} : { reply });
    await this.connection.flush();
    // The refusal comes before the answer to the ping of `flush`; its dispatch may take a turn.
    await sleep(5);
    subscription?.unsubscribe();
    stop.abort();
    (status as { stop?: () => void }).stop?.();
    await Promise.race([listening, sleep(5)]);
    return found;
  }

  async close(): Promise<void> {
    await this.connection.close();
  }
}

const received = (message: Msg): Received => ({
  subject: message.subject,
  tenantId: message.headers?.get('ce-tenantid') ?? '',
  position: Number(message.headers?.get('ce-position')),
  type: message.headers?.get('ce-type') ?? '',
  data: message.json(),
  ack: () => void message.respond('+ACK'),
});
