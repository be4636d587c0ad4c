import { randomUUID } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { AckPolicy, DeliverPolicy, type JetStreamManager, jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect, headers, type NatsConnection, nkeys } from '@nats-io/transport-node';
import { eventually } from '@tenantry/testing/eventually';
import { type RunningNats, startNats } from '@tenantry/testing/nats';
import type { Start } from '../api.js';
import type { Notice } from '../engine-options.js';
import type { TenantEvent } from '../event.js';
import { type RunningSubscription, type SubscribeOptions, subscribe } from '../subscribe.js';

export const STREAM = 'TENANTRY_EVENTS';
const seed = new TextDecoder().decode(nkeys.createUser().getSeed());
/** Of a user that nobody asks for: the server of these tests lets everybody in. */
const credentials = [
  '-----BEGIN NATS USER JWT-----',
  'e30.e30.e30',
  '------END NATS USER JWT------',
  '',
  '-----BEGIN USER NKEY SEED-----',
  seed,
  '------END USER NKEY SEED------',
  '',
].join('\n');

/** Logs of tenants behind an HTTP API as the gateway has it, and a real broker that events are published to, or are not. */
export class World {
  readonly logs = new Map<string, TenantEvent[]>();
  readonly asked: string[] = [];
  /** Answers of the API with this status come before anything else. */
  readonly failing: number[] = [];
  private readonly running: RunningSubscription[] = [];
  /** Of the consumers that are made from now on. */
  ackWaitMs = 30_000;
  private consumers = 0;

  private constructor(
    public nats: RunningNats,
    public connection: NatsConnection,
    public manager: JetStreamManager,
    private readonly http: Server,
  ) {}

  static async start(): Promise<World> {
    const nats = await startNats();
    const connection = await connect({ servers: nats.url, maxReconnectAttempts: -1, reconnectTimeWait: 100 });
    const manager = await jetstreamManager(connection);
    await manager.streams.add({ name: STREAM, subjects: ['tenantry.events.>'] });
    const http = createServer();
    const world = new World(nats, connection, manager, http);
    http.on('request', (request, response) => {
      let body = '';
      request.on('data', (chunk) => {
        body += chunk;
      });
      request.on('end', () => {
        world.asked.push(`${request.method} ${request.url}`);
        const [status, answer] = world.answer(request.url ?? '', body);
        response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
      });
    });
    await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
    return world;
  }

  async stop(): Promise<void> {
    await this.stopSubscriptions();
    await this.connection.close();
    this.http.closeAllConnections();
    this.http.close();
    await this.nats.stop();
  }
  async stopSubscriptions(): Promise<void> {
    await Promise.allSettled(this.running.splice(0).map((each) => each.stop()));
  }

  get url(): string {
    return `http://127.0.0.1:${(this.http.address() as AddressInfo).port}`;
  }

  /** Appends to the log of a tenant. Nothing is published by that. */
  append(tenantId: string, count: number, given: Partial<TenantEvent> | ((index: number) => Partial<TenantEvent>) = {}): TenantEvent[] {
    const log = this.logs.get(tenantId) ?? [];
    this.logs.set(tenantId, log);
    return Array.from({ length: count }, (_, index) => {
      const { context = 'tenant', ...rest } = typeof given === 'function' ? given(index) : given;
      const position = log.length;
      const event: TenantEvent = {
        ...{ tenantId, position, id: randomUUID(), context, type: 'TenantUpdated', version: 2, stream: 'tenant' },
        ...{ data: { n: position }, recordedAt: new Date(Date.UTC(2026, 0, 1, 0, 0, position)).toISOString() },
        previousInContext: log.findLast((each) => each.context === context)?.position ?? null,
        ...rest,
      };
      log.push(event);
      return event;
    });
  }

  async publish(events: TenantEvent[], suffix = '', changed: Record<string, string> = {}): Promise<void> {
    for (const event of events) {
      const all = headers();
      const given: Record<string, string> = {
        ...{
          'Nats-Msg-Id': `${event.tenantId}:${event.position}${suffix}`,
          'ce-specversion': '1.0',
          'ce-id': `${event.tenantId}:${event.position}`,
        },
        ...{ 'ce-source': '/tenantry/provisioning', 'ce-type': `tenantry.${event.context}.${event.type}.v${event.version}` },
        ...{ 'ce-time': event.recordedAt, 'ce-subject': event.stream, 'ce-tenantid': event.tenantId, 'ce-eventid': event.id },
        ...{
          'ce-position': String(event.position),
          'ce-previncontext': event.previousInContext === null ? '' : String(event.previousInContext),
        },
        ...changed,
      };
      for (const [name, value] of Object.entries(given)) all.set(name, value);
      const subject = `tenantry.events.${event.tenantId}.${event.context}.${event.type}`;
      await jetstream(this.connection).publish(subject, JSON.stringify(event.data), { headers: all });
    }
  }

  /** A subscription as identity makes it: durable pull consumers, one filter each. */
  async subscription(tenants: 'all' | string[], contexts: 'all' | string[] = 'all', from: Start = 'first') {
    const id = randomUUID();
    const filters = (tenants === 'all' ? ['*'] : tenants).flatMap((tenant) =>
      contexts === 'all' ? [`tenantry.events.${tenant}.>`] : contexts.map((context) => `tenantry.events.${tenant}.${context}.>`),
    );
    const consumers = await Promise.all(
      filters.map(async (filterSubject) => {
        const name = `es_${++this.consumers}`;
        await this.manager.consumers.add(STREAM, {
          ...{ durable_name: name, ack_policy: AckPolicy.Explicit, deliver_policy: DeliverPolicy.All, filter_subject: filterSubject },
          ...{ ack_wait: this.ackWaitMs * 1_000_000, max_ack_pending: 1_000 },
        });
        return { name, filterSubject };
      }),
    );
    const createdAt = new Date().toISOString();
    return {
      id,
      tenants,
      contexts,
      types: null,
      from,
      natsUrl: this.nats.url,
      stream: STREAM,
      consumers,
      inboxPrefix: `_SUB_${id}`,
      createdAt,
    };
  }

  /** Subscribes and collects what is handed over. */
  async follow<T = undefined>(subscription: SubscribeOptions<T>['subscription'], options: Partial<SubscribeOptions<T>> = {}) {
    const seen: TenantEvent[] = [];
    const notices: Notice[] = [];
    const running = await subscribe<T>({
      subscription,
      credentials,
      api: { url: this.url, apiKey: 'tnt_test_key', attempts: 3 },
      handle: (event) => {
        seen.push(event);
      },
      onNotice: (notice) => notices.push(notice),
      holeMs: 100,
      ...options,
    });
    this.running.push(running);
    return {
      ...{ running, seen, notices },
      positions: (tenantId?: string) =>
        seen.filter((event) => tenantId === undefined || event.tenantId === tenantId).map(({ position }) => position),
      until: (count: number) =>
        eventually(() => seen.length >= count, { what: `${count} events` }).catch((error: Error) => {
          throw new Error(`${error.message}; seen: ${seen.map(({ position }) => position)}; ${JSON.stringify(notices)}`);
        }),
      acknowledged: () =>
        eventually(
          async () => {
            const infos = await Promise.all(subscription.consumers.map(({ name }) => this.manager.consumers.info(STREAM, name)));
            return infos.every(({ num_ack_pending, num_pending }) => num_ack_pending === 0 && num_pending === 0);
          },
          { what: 'everything to be acknowledged' },
        ),
    };
  }

  private answer(url: string, body: string): [number, unknown] {
    const failure = this.failing.shift();
    if (failure !== undefined) return [failure, { code: 'service.unavailable', detail: 'away', errors: [] }];
    const { pathname, searchParams } = new URL(url, 'http://x');
    if (pathname === '/api/v1/platform/tenants') return [200, { items: [...this.logs.keys()].map((id) => ({ id })), nextCursor: null }];
    const [, tenantId = '', decrypt] = /^\/api\/v1\/platform\/tenants\/([^/]+)\/events(\/decrypt)?$/.exec(pathname) ?? [];
    const log = this.logs.get(tenantId);
    if (!log) return [404, { code: 'tenant.not_found', detail: 'There is no such tenant', errors: [] }];
    if (decrypt) {
      const { positions } = JSON.parse(body) as { positions: number[] };
      const items = log
        .filter(({ position }) => positions.includes(position))
        .map((event) => ({ ...event, data: JSON.parse(JSON.stringify(event.data).replace(/\{"enc":"([^"]*)"\}/g, '"clear $1"')) }));
      return [200, { items, remaining: [] }];
    }
    const after = Number(searchParams.get('after'));
    return [200, { items: log.slice(after + 1, after + 1 + Number(searchParams.get('limit'))), head: log.length - 1 }];
  }
}
