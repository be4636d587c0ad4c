import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { AckPolicy, jetstream, jetstreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { newId } from '@tenantry/contracts/ids';
import { PostgresEventStore } from '@tenantry/event-store/adapters/postgres/postgres-event-store';
import { command } from '@tenantry/event-store/conformance/given';
import type { EventStore } from '@tenantry/event-store/port';
import { silentLogger } from '@tenantry/observability/logger';
import { eventually } from '@tenantry/testing/eventually';
import { type RunningNats, startNats } from '@tenantry/testing/nats';
import { type RunningPostgres, startPostgres } from '@tenantry/testing/postgres';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { ensureEventStream, eventStream } from './event-stream.js';
import { JetStreamBroker } from './jetstream-broker.js';
import { PostgresLeaseTable } from './leases.js';
import { connectNats, inboxPrefixOf } from './nats.js';
import { PostgresRelayStorage } from './postgres-relay-storage.js';
import { Relay, type RelayOptions } from './relay.js';

let postgres: RunningPostgres;
let nats: RunningNats;
let pool: pg.Pool;
let connection: NatsConnection;
let store: PostgresEventStore;
const relays: Relay[] = [];

const relay = async (owner: string, from: EventStore = store, options: Partial<RelayOptions> = {}) => {
  const made = new Relay({
    store: from,
    broker: new JetStreamBroker({
      nats: connection,
      logger: silentLogger,
      replicas: 1,
      publishTimeoutMs: 1_000,
      inboxPrefix: inboxPrefixOf('relay'),
    }),
    storage: new PostgresRelayStorage(pool, 'relay'),
    leases: new PostgresLeaseTable(pool, 'relay'),
    logger: silentLogger,
    owner,
    options: { pollMs: 100, lookMs: 200, leaseMs: 2_000, ...options },
  });
  relays.push(made);
  await made.start();
  return made;
};
const append = (tenantId: string, events: number, stream = newId()) =>
  store.append(
    command(tenantId, { stream, events: Array.from({ length: events }, (_, n) => ({ type: 'TenantUpdated', data: { name: `n${n}` } })) }),
  );
const nudge = (...tenants: string[]) => connection.publish('tenantry.nudge', JSON.stringify({ tenants }));
const lastPosition = async (tenantId: string) =>
  Number((await pool.query('SELECT position FROM relay.published WHERE tenant_id = $1', [tenantId])).rows[0]?.position ?? -1);

/** Everything that the stream holds of a log, in the stream's order. */
async function stored(tenantId: string) {
  const manager = await jetstreamManager(connection);
  const { name } = await manager.consumers.add(eventStream, {
    filter_subject: `tenantry.events.${tenantId}.>`,
    ack_policy: AckPolicy.None,
    inactive_threshold: 10_000_000_000,
  });
  const consumer = await jetstream(connection).consumers.get(eventStream, name);
  const messages = [];
  for (;;) {
    const message = await consumer.next({ expires: 1_000 });
    if (!message) return messages;
    messages.push({ subject: message.subject, headers: message.headers, body: message.json() });
    if (message.info.pending === 0) return messages;
  }
}

beforeAll(async () => {
  [postgres, nats] = await Promise.all([startPostgres(), startNats()]);
  pool = new pg.Pool({ connectionString: postgres.url, max: 10 });
  await pool.query(await readFile(new URL('../../event-store/migrations/0001_log.sql', import.meta.url), 'utf8'));
  const migrations = ['0001_relay.sql', '0002_exact.sql', '0003_seen.sql'].map((file) =>
    readFile(new URL(`../../../services/relay/migrations/service/${file}`, import.meta.url), 'utf8'),
  );
  const tables = (await Promise.all(migrations)).join('\n');
  await pool.query(`CREATE SCHEMA relay; SET search_path TO relay; ${tables}; RESET search_path`);
  connection = await connectNats({ url: nats.url, process: 'relay', logger: silentLogger });
  store = new PostgresEventStore(pool);
}, 90_000);
afterEach(async () => {
  await Promise.all(relays.splice(0).map((each) => each.stop()));
});
afterAll(async () => {
  await connection?.close();
  await pool?.end();
  await Promise.all([nats?.stop(), postgres?.stop()]);
});

describe('the relay', () => {
  it('publishes events as CloudEvents, with all that a subscriber needs to prove that nothing is missing', async () => {
    await relay('one');
    const tenantId = newId();
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    const given = command(tenantId, {
      stream: 'tenant',
      events: [
        { type: 'TenantUpdated', data: { name: 'Ä' } },
        { type: 'QuotasWithdrawn', context: 'quota', data: {} },
        { type: 'TenantActivated', data: { status: 'active' } },
      ],
    });
    for (const event of given.events) event.metadata = { ...event.metadata, traceparent };
    const { events } = await store.append(given);
    nudge(tenantId);
    await eventually(async () => (await lastPosition(tenantId)) === 2);
    const messages = await stored(tenantId);
    expect(messages.map(({ subject }) => subject)).toEqual(
      ['tenant.TenantUpdated', 'quota.QuotasWithdrawn', 'tenant.TenantActivated'].map((rest) => `tenantry.events.${tenantId}.${rest}`),
    );
    const [first, second, third] = messages.map(({ headers }) =>
      Object.fromEntries([...(headers ?? [])].map(([name, [value]]) => [name, value])),
    );
    expect(first).toEqual({
      'Nats-Msg-Id': `${tenantId}:0`,
      'ce-specversion': '1.0',
      'ce-id': `${tenantId}:0`,
      'ce-source': '/tenantry/provisioning',
      'ce-type': 'tenantry.tenant.TenantUpdated.v2',
      'ce-time': events[0]?.recordedAt,
      'ce-subject': 'tenant',
      'ce-tenantid': tenantId,
      'ce-position': '0',
      'ce-previncontext': '',
      'ce-eventid': events[0]?.id,
      traceparent,
    });
    expect(second).toMatchObject({ 'ce-source': '/tenantry/quota-metering', 'ce-previncontext': '' });
    expect(third).toMatchObject({ 'ce-position': '2', 'ce-previncontext': '0' });
    expect(messages[0]?.body).toEqual({ name: 'Ä' });
  });

  it('leaves no gap and stores nothing twice when it goes on after a crash, from a position that was not recorded', async () => {
    const tenantId = newId();
    const first = await relay('one');
    await append(tenantId, 250);
    nudge(tenantId);
    await eventually(async () => (await lastPosition(tenantId)) === 249);
    await first.stop();
    await append(tenantId, 50);
    // As if it had died before it wrote down the last rounds.
    const recorded = (await store.readLog(tenantId, 99, { limit: 1 })).events[0]?.id;
    await pool.query('UPDATE relay.published SET position = 99, event_id = $2 WHERE tenant_id = $1', [tenantId, recorded]);
    await relay('two');
    await eventually(async () => (await lastPosition(tenantId)) === 299);
    expect((await stored(tenantId)).map(({ headers }) => Number(headers?.get('ce-position')))).toEqual(
      Array.from({ length: 300 }, (_, n) => n),
    );
  });

  it('asks the stream where it stood when message ids may be forgotten', async () => {
    const tenantId = newId();
    const first = await relay('one');
    await append(tenantId, 3);
    nudge(tenantId);
    await eventually(async () => (await lastPosition(tenantId)) === 2);
    await first.stop();
    await pool.query('DELETE FROM relay.published WHERE tenant_id = $1', [tenantId]);
    await pool.query('DELETE FROM relay.acknowledged');
    await pool.query("UPDATE log.events SET recorded_at = now() - interval '1 hour' WHERE tenant_id = $1", [tenantId]);
    const manager = await jetstreamManager(connection);
    const { duplicate_window } = (await manager.streams.info(eventStream)).config;
    await manager.streams.update(eventStream, { duplicate_window: 100_000_000 });
    await new Promise((resolve) => setTimeout(resolve, 300));
    await append(tenantId, 1);
    await manager.streams.update(eventStream, { duplicate_window });
    await relay('two');
    await eventually(async () => (await lastPosition(tenantId)) === 3);
    expect(await stored(tenantId)).toHaveLength(4);
  });

  it('shares the logs with other relays, and takes over at once from one that ends', async () => {
    const [one] = [await relay('one'), await relay('two'), await relay('three')];
    const owners = async () =>
      (await pool.query('SELECT owner, count(*)::int AS n FROM relay.leases WHERE owner IS NOT NULL GROUP BY 1 ORDER BY 1')).rows;
    await eventually(async () => (await owners()).length === 3 && (await owners()).every(({ n }) => n <= 22));
    await one.stop();
    await eventually(async () => (await owners()).length === 2 && (await owners()).every(({ n }) => n === 32));
    const tenants = Array.from({ length: 30 }, () => newId());
    await Promise.all(tenants.map((tenantId) => append(tenantId, 2)));
    nudge(...tenants);
    await eventually(async () => (await Promise.all(tenants.map(lastPosition))).every((position) => position === 1));
  });

  it('never holds more than it is allowed to, however long the events of a backlog are', async () => {
    const tenants = Array.from({ length: 4 }, newId);
    // Hardly to be compressed, and easily: 40 events of 150 KB each way.
    const long = () => ({ type: 'TenantUpdated', data: { name: randomBytes(56_000).toString('hex') } });
    const same = () => ({ type: 'TenantUpdated', data: { name: 'x'.repeat(112_000) } });
    for (const [index, tenantId] of tenants.entries()) {
      for (let n = 0; n < 10; n++) {
        await store.append(
          command(tenantId, {
            stream: newId(),
            events: [index % 2 === 0 ? long() : same(), { type: 'TenantUpdated', data: { name: 'short' } }],
          }),
        );
      }
    }
    let most = 0;
    class Weighing extends PostgresEventStore {
      override async readLogs(...given: Parameters<PostgresEventStore['readLogs']>) {
        const slices = await super.readLogs(...given);
        most = Math.max(most, JSON.stringify([...slices.values()]).length);
        return slices;
      }
    }
    await relay('one', new Weighing(pool), { eventsUnmeasured: 2, maxReadBytes: 1_000_000, rounds: 1 });
    nudge(...tenants);
    await eventually(async () => (await Promise.all(tenants.map(lastPosition))).every((position) => position === 19));
    expect(most).toBeGreaterThan(100_000);
    expect(most).toBeLessThan(1_200_000);
  });

  it('finds what nobody nudged it about', async () => {
    await relay('one');
    const tenantId = newId();
    await append(tenantId, 1);
    await eventually(async () => (await lastPosition(tenantId)) === 0);
  });

  it('refuses a broker that does not keep what the stream needs', async () => {
    await expect(ensureEventStream(connection, 3)).rejects.toThrow();
    await ensureEventStream(connection, 1);
  });
});
