import { connect, credsAuthenticator, type NatsConnection } from '@nats-io/transport-node';
import { type ApiOptions, type EventSubscription, TenantryApi } from './api.js';
import { type Checkpoints, MemoryCheckpoints } from './checkpoints.js';
import type { Notice, Rewritten } from './engine-options.js';
import type { TenantEvent } from './event.js';
import { Engine } from './subscription.js';

export interface SubscribeOptions<Transaction = undefined> {
  /** As it was answered when it was made, or is by `GET …/event-subscriptions/{id}`. */
  subscription: Omit<EventSubscription, 'name' | 'status' | 'credentials'>;
  /** The text of the `.creds` file. */
  credentials: string;
  /** The HTTP API: fills holes, proves, decrypts. Without it a hole ends the subscription. */
  api?: ApiOptions | TenantryApi;
  /**
   * Called for each event of the wanted types: one after the other per tenant, several tenants at once. At least once each; exactly once for
   * what is done in the transaction that the checkpoints give. Throw to have it tried again.
   */
  handle: (event: TenantEvent, transaction: Transaction) => Promise<unknown> | unknown;
  /** Default: in memory, so that each start begins anew. */
  checkpoints?: Checkpoints<Transaction>;
  /** Personal data is handed over in clear: the key needs `personal:read`. Default false. */
  decrypt?: boolean;
  /**
   * The platform was set back to a backup: what was handled from that position on is not true any more. Undo it; then everything from
   * there is handed over again. Without it such a rewriting ends the subscription.
   */
  onRewritten?: (at: Rewritten) => Promise<unknown> | unknown;
  /** An event that can't be handled after `attempts`: `retry` (the default: every 30 s at most, for ever), `skip` it, or `stop` all. */
  onPoison?: (event: TenantEvent, error: unknown) => Promise<'skip' | 'retry' | 'stop'> | 'skip' | 'retry' | 'stop';
  onNotice?: (notice: Notice) => void;
  /** Default 5. */
  attempts?: number;
  /** Tenants at once. Default 8. */
  concurrency?: number;
  /** Messages that are held at once, over all consumers: the broker keeps the others. Default 512. */
  maxBuffered?: number;
  /** With several contexts: how long an event waits for an earlier one that another consumer may bring. Default 200. */
  settleMs?: number;
  /** How long a missing event is waited for before it is read from the log. Default 500. */
  holeMs?: number;
}

export interface RunningSubscription {
  /** How far it is. `pending`: messages that the broker has not delivered yet, null until that is known. */
  lag(): ReturnType<Engine<unknown>['lag']>;
  /** Waits for what is being handled; what is held goes back to the broker. */
  stop(): Promise<void>;
  /** Resolves after `stop`; rejects when it can't go on. */
  readonly ended: Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Reads an event subscription: all its consumers at once, in order, complete, each event once however often it is delivered.
 * @throws Error where the broker refuses the credentials
 */
export async function subscribe<Transaction = undefined>(options: SubscribeOptions<Transaction>): Promise<RunningSubscription> {
  const { subscription, api } = options;
  const connection = await connect({
    servers: subscription.natsUrl.split(','),
    name: `tenantry-sdk ${subscription.id}`,
    ...(subscription.inboxPrefix === null ? {} : { inboxPrefix: subscription.inboxPrefix }),
    authenticator: credsAuthenticator(new TextEncoder().encode(options.credentials)),
    maxReconnectAttempts: -1,
    reconnectTimeWait: 250,
    reconnectJitter: 500,
    reconnectJitterTLS: 500,
    pingInterval: 20_000,
  });
  let engine: Engine<Transaction> | undefined;
  let stopped: Promise<void> | undefined;
  const { promise: ended, resolve, reject } = Promise.withResolvers<void>();
  ended.catch(() => undefined); // looked at by whoever waits for it
  const close = async (error?: unknown) => {
    try {
      await engine?.stop();
    } finally {
      if (!connection.isClosed()) await connection.drain();
    }
    if (error === undefined) resolve();
    else reject(error);
  };
  const end = (error?: unknown) => {
    stopped ??= close(error).catch(reject);
    return stopped;
  };
  engine = new Engine<Transaction>(
    connection,
    {
      subscription,
      api: api === undefined ? null : api instanceof TenantryApi ? api : new TenantryApi(api),
      checkpoints: options.checkpoints ?? (new MemoryCheckpoints() as unknown as Checkpoints<Transaction>),
      handle: options.handle,
      onRewritten: options.onRewritten,
      onPoison: options.onPoison,
      onNotice: options.onNotice ?? (() => undefined),
      decrypt: options.decrypt ?? false,
      attempts: options.attempts ?? 5,
      concurrency: options.concurrency ?? 8,
      maxBuffered: options.maxBuffered ?? 512,
      settleMs: options.settleMs ?? 200,
      holeMs: options.holeMs ?? 500,
    },
    (error) => void end(error),
  );
  void watch(connection, engine);
  void connection.closed().then((error) => end(error ?? undefined));
  void engine.catchUp().catch((error: unknown) => end(error));
  return { lag: () => engine.lag(), stop: () => end(), ended, [Symbol.asyncDispose]: () => end() };
}

async function watch(connection: NatsConnection, engine: { reconnected(): void }): Promise<void> {
  for await (const { type } of connection.status()) if (type === 'reconnect') engine.reconnected();
}
