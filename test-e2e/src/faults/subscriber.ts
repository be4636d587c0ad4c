import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { AckPolicy, DeliverPolicy, jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect, credsAuthenticator, type NatsConnection } from '@nats-io/transport-node';
import type { RunFile } from '../harness/system.js';

interface Taken {
  position: number;
  eventId: string;
  /** Sequence on the stream of the day. */
  sequence: number;
}

/**
 * Another system: reads the stream from its beginning with a consumer of its own, begins anew when that is gone, and takes each
 * (position, event) once, by the headers alone.
 */
export class Subscriber {
  /** In the order in which they were taken. */
  readonly taken = new Map<string, Taken[]>();
  deliveries = 0;
  /** How often its consumer, or the broker, was gone. */
  restarts = 0;
  private readonly seen = new Set<string>();
  private running: Promise<void> = Promise.resolve();
  private connection: NatsConnection | undefined;
  private stopped = false;

  /** @param betweenMs it lets so much time pass between two batches */
  constructor(
    private readonly run: Pick<RunFile, 'natsUrl' | 'natsCredsFile'>,
    private readonly betweenMs = 0,
  ) {}

  async start(): Promise<void> {
    this.connection = await connect({
      servers: this.run.natsUrl,
      authenticator: credsAuthenticator(await readFile(this.run.natsCredsFile)),
      inboxPrefix: `_INBOX.subscriber${Math.random().toString(36).slice(2)}`,
      maxReconnectAttempts: -1,
      reconnectTimeWait: 200,
      waitOnFirstConnect: true,
    });
    this.running = this.follow(this.connection);
  }

  async stop(): Promise<void> {
    this.stopped = true;
    await this.running;
    await this.connection?.close();
  }

  private async follow(connection: NatsConnection): Promise<void> {
    while (!this.stopped) {
      try {
        const manager = await jetstreamManager(connection, { checkAPI: false, timeout: 2_000 });
        const { name } = await manager.consumers.add('TENANTRY_EVENTS', {
          ack_policy: AckPolicy.None,
          deliver_policy: DeliverPolicy.All,
          inactive_threshold: 60_000_000_000,
        });
        const consumer = await jetstream(connection, { timeout: 2_000 }).consumers.get('TENANTRY_EVENTS', name);
        for (let fetches = 1; !this.stopped; fetches++) {
          let got = 0;
          for await (const message of await consumer.fetch({ max_messages: 500, expires: 1_000 })) {
            got += 1;
            this.take(
              message.headers?.get('ce-tenantid'),
              message.headers?.get('ce-position'),
              message.headers?.get('ce-eventid'),
              message.seq,
            );
          }
          // A consumer that is gone looks like one with nothing to give.
          if (got === 0 && fetches % 2 === 0) await consumer.info();
          if (this.betweenMs > 0) await sleep(this.betweenMs);
        }
        await consumer.delete();
      } catch {
        // Whatever it was, what can be done is to begin anew; what was taken is not taken again.
        this.restarts += 1;
        await sleep(200);
      }
    }
  }

  private take(tenantId: string | undefined, position: string | undefined, eventId: string | undefined, sequence: number): void {
    this.deliveries += 1;
    if (!tenantId || !position || !eventId) return;
    const key = `${tenantId}:${position}:${eventId}`;
    if (this.seen.has(key)) return;
    this.seen.add(key);
    const of = this.taken.get(tenantId) ?? [];
    of.push({ position: Number(position), eventId, sequence });
    this.taken.set(tenantId, of);
  }
}
