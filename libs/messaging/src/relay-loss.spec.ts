import { type ChildProcess, spawn } from 'node:child_process';
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type JetStreamManager, jetstreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { newId } from '@tenantry/contracts/ids';
import { PostgresEventStore } from '@tenantry/event-store/adapters/postgres/postgres-event-store';
import { command } from '@tenantry/event-store/conformance/given';
import { silentLogger } from '@tenantry/observability/logger';
import { eventually } from '@tenantry/testing/eventually';
import { untilListening } from '@tenantry/testing/nats';
import { freePort } from '@tenantry/testing/ports';
import { type RunningPostgres, startPostgres } from '@tenantry/testing/postgres';
import { stopChild } from '@tenantry/testing/process';
import { type TemporaryFolder, temporaryFolder } from '@tenantry/testing/tmp';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { StoredMessage } from './broker.js';
import { eventStream } from './event-stream.js';
import { JetStreamBroker } from './jetstream-broker.js';
import { PostgresLeaseTable } from './leases.js';
import { connectNats, inboxPrefixOf } from './nats.js';
import { PostgresRelayStorage } from './postgres-relay-storage.js';
import { Relay } from './relay.js';

let postgres: RunningPostgres;
let pool: pg.Pool;
let store: PostgresEventStore;
let folder: TemporaryFolder;
let port: number;
let server: ChildProcess;
let connection: NatsConnection;
let manager: JetStreamManager;
const relays: Relay[] = [];

const files = () => join(folder.path, 'store');
/** A server of its own that can be killed and come back, at the same port, with whatever is on its disk. */
async function startServer() {
  await mkdir(files(), { recursive: true });
  const config = join(folder.path, 'nats.conf');
  await writeFile(config, `host: "127.0.0.1"\nport: ${port}\nmax_payload: 2MB\njetstream { store_dir: "${files()}" }\n`);
  server = spawn('nats-server', ['-c', config], { stdio: 'ignore' });
  await untilListening(port);
}
const kill = () => stopChild(server, 'SIGKILL', 5_000);

async function relay(owner = newId()) {
  const made = new Relay({
    store,
    broker: new JetStreamBroker({
      nats: connection,
      logger: silentLogger,
      replicas: 1,
      publishTimeoutMs: 500,
      inboxPrefix: inboxPrefixOf('relay'),
    }),
    storage: new PostgresRelayStorage(pool, 'relay'),
    leases: new PostgresLeaseTable(pool, 'relay'),
    logger: silentLogger,
    owner,
    options: { pollMs: 100, lookMs: 100, leaseMs: 2_000 },
  });
  relays.push(made);
  await made.start();
  return made;
}
const append = (tenantId: string, events: number, stream = newId()) =>
  store.append(
    command(tenantId, { stream, events: Array.from({ length: events }, (_, n) => ({ type: 'TenantUpdated', data: { name: `n${n}` } })) }),
  );

interface Held extends StoredMessage {
  messageId: string;
}
/** Everything that the stream holds of these logs, in its order. */
async function held(...tenants: string[]): Promise<Held[]> {
  const { state } = await manager.streams.info(eventStream).catch(() => ({ state: { first_seq: 1, last_seq: 0 } }));
  const found: Held[] = [];
  for (let sequence = state.first_seq; sequence <= state.last_seq; sequence++) {
    const message = await manager.streams.getMessage(eventStream, { seq: sequence }).catch(() => null);
    if (!message) continue;
    const of = (name: string) => message.header.get(name);
    const tenantId = of('ce-tenantid');
    if (!tenants.includes(tenantId)) continue;
    found.push({ sequence, tenantId, position: Number(of('ce-position')), eventId: of('ce-eventid'), messageId: of('Nats-Msg-Id') });
  }
  return found;
}
const idsInLog = async (tenantId: string) => (await store.readLog(tenantId, 0)).events.map(({ id }) => id);
/** What a subscriber has that reads the stream from its beginning and goes by positions; where one comes with another event, the later one. */
const subscriber = (messages: Held[]) => {
  const byPosition = new Map<number, string>();
  for (const { position, eventId } of messages) byPosition.set(position, eventId);
  return [...byPosition].sort(([a], [b]) => a - b).map(([, eventId]) => eventId);
};
const until = (holds: () => Promise<void>) =>
  eventually(
    async () => {
      await holds();
      return true;
    },
    { timeoutMs: 15_000, intervalMs: 100 },
  );
const complete = async (tenantId: string) => {
  const log = await idsInLog(tenantId);
  await until(async () => expect(subscriber(await held(tenantId))).toEqual(log));
};
const positions = (messages: Held[]) => messages.map(({ position }) => position);
const upTo = (last: number) => Array.from({ length: last + 1 }, (_, n) => n);

beforeAll(async () => {
  [postgres, folder, port] = await Promise.all([startPostgres(), temporaryFolder('tenantry-broker-'), freePort()]);
  pool = new pg.Pool({ connectionString: postgres.url, max: 10 });
  await pool.query(await readFile(new URL('../../event-store/migrations/0001_log.sql', import.meta.url), 'utf8'));
  const migrations = ['0001_relay.sql', '0002_exact.sql', '0003_seen.sql'].map((file) =>
    readFile(new URL(`../../../services/relay/migrations/service/${file}`, import.meta.url), 'utf8'),
  );
  await pool.query(`CREATE SCHEMA relay; SET search_path TO relay; ${(await Promise.all(migrations)).join('\n')}; RESET search_path`);
  await startServer();
  connection = await connectNats({ url: `nats://127.0.0.1:${port}`, process: 'relay', logger: silentLogger });
  // What was asked while the broker was away is never answered: it is asked again.
  manager = await jetstreamManager(connection, { checkAPI: false, timeout: 1_000 });
  store = new PostgresEventStore(pool);
}, 90_000);
beforeEach(async () => {
  await pool.query(
    'TRUNCATE relay.published, relay.renewals, relay.streams, relay.acknowledged, log.events, log.heads, log.commands; UPDATE relay.leases SET epoch = 0',
  );
});
afterEach(async () => {
  await Promise.all(relays.splice(0).map((each) => each.stop()));
  await manager.streams.delete(eventStream).catch(() => undefined);
});
afterAll(async () => {
  await connection?.close();
  await pool?.end();
  await stopChild(server, 'SIGTERM', 5_000);
  await Promise.all([folder?.remove(), postgres?.stop()]);
});

describe('what the broker has lost is published again, no more and no less', () => {
  const tenantId = newId();
  const other = newId();

  it.each([
    ['purged', () => manager.streams.purge(eventStream)],
    ['deleted', () => manager.streams.delete(eventStream)],
    [
      'deleted and made again by somebody',
      async () => {
        const { config } = await manager.streams.info(eventStream);
        await manager.streams.delete(eventStream);
        await manager.streams.add(config);
      },
    ],
  ])(
    'the stream was %s under an idle relay, that hears nothing of it',
    async (_what, disaster) => {
      await relay();
      await append(tenantId, 5);
      await append(other, 3);
      await complete(tenantId);
      await complete(other);
      await disaster();
      await complete(tenantId);
      await complete(other);
      const again = await held(tenantId, other);
      expect(again).toHaveLength(8);
      expect(again.every(({ messageId, position, ...of }) => new RegExp(`^${of.tenantId}:${position}:r\\d+$`).test(messageId))).toBe(true);
      // And a second time: other ids, because the stream remembers those.
      await disaster();
      await append(tenantId, 1);
      await complete(tenantId);
      await complete(other);
      const third = await held(tenantId);
      // The new one may have gone out before anybody looked.
      expect(positions(third).sort((a, b) => a - b)).toEqual(upTo(5));
      expect(third.find(({ position }) => position === 5)?.messageId).toBe(`${tenantId}:5`);
    },
    60_000,
  );

  it('single messages were deleted', async () => {
    await relay();
    await append(tenantId, 6);
    await complete(tenantId);
    const before = await held(tenantId);
    for (const { sequence } of before.filter(({ position }) => position === 2 || position === 4)) {
      await manager.streams.deleteMessage(eventStream, sequence);
    }
    await complete(tenantId);
    expect(positions(await held(tenantId))).toEqual([0, 1, 3, 5, 2, 4]);
    // It stays at that: nothing goes out a third time.
    await append(tenantId, 1);
    await complete(tenantId);
    await sleep(500);
    expect(positions(await held(tenantId))).toEqual([0, 1, 3, 5, 2, 4, 6]);
  }, 60_000);

  it('one log was purged while no relay ran', async () => {
    const first = await relay();
    await append(tenantId, 4);
    await append(other, 4);
    await complete(tenantId);
    await complete(other);
    await first.stop();
    await manager.streams.purge(eventStream, { filter: `tenantry.events.${tenantId}.>` });
    await relay();
    await complete(tenantId);
    expect(positions(await held(tenantId))).toEqual(upTo(3));
    expect(positions(await held(other))).toEqual(upTo(3));
  }, 60_000);

  it('the broker was killed and its directory wiped', async () => {
    await relay();
    await append(tenantId, 5);
    await complete(tenantId);
    await kill();
    await rm(files(), { recursive: true });
    await append(tenantId, 2);
    await startServer();
    await append(tenantId, 1);
    await complete(tenantId);
    expect(positions(await held(tenantId))).toEqual(upTo(7));
  }, 60_000);

  it.each([['with the relay running'], ['with the relay gone as well']])(
    'the broker was killed before its disk had what it acknowledged, %s',
    async (which) => {
      const first = await relay();
      await append(tenantId, 4);
      await append(other, 4);
      await complete(tenantId);
      await complete(other);
      await stopChild(server, 'SIGTERM', 5_000);
      const copy = join(folder.path, 'copy');
      await cp(files(), copy, { recursive: true });
      await startServer();
      await append(tenantId, 3);
      await complete(tenantId);
      if (which.includes('gone')) await first.stop();
      await kill();
      await rm(files(), { recursive: true });
      await cp(copy, files(), { recursive: true });
      await rm(copy, { recursive: true });
      await startServer();
      if (which.includes('gone')) await relay();
      await complete(tenantId);
      expect(positions(await held(tenantId))).toEqual(upTo(6));
      expect(positions(await held(other))).toEqual(upTo(3));
      expect((await held(tenantId)).slice(4).map(({ messageId }) => messageId)).toEqual(
        [4, 5, 6].map((position) => expect.stringMatching(new RegExp(`^${tenantId}:${position}:r\\d+$`))),
      );
    },
    60_000,
  );

  it('a broker that is only restarted gets nothing a second time', async () => {
    await relay();
    await append(tenantId, 5);
    await complete(tenantId);
    await stopChild(server, 'SIGTERM', 5_000);
    await startServer();
    await append(tenantId, 1);
    await complete(tenantId);
    await sleep(500);
    expect((await held(tenantId)).map(({ messageId }) => messageId)).toEqual(upTo(5).map((position) => `${tenantId}:${position}`));
  }, 60_000);

  it('nothing that has reached its age in the log', async () => {
    await relay();
    await append(tenantId, 5);
    await complete(tenantId);
    await pool.query("UPDATE log.events SET recorded_at = now() - interval '8 days' WHERE tenant_id = $1 AND position < 3", [tenantId]);
    await manager.streams.purge(eventStream);
    await until(async () => expect(positions(await held(tenantId))).toEqual([3, 4]));
  }, 60_000);
});

describe('when the database is set back to an older copy', () => {
  const tables = ['log.events', 'log.heads', 'log.commands', 'relay.published', 'relay.renewals', 'relay.streams', 'relay.acknowledged'];
  const copyTables = () =>
    pool.query(`CREATE SCHEMA copy; ${tables.map((table) => `CREATE TABLE copy.${table.replace('.', '_')} AS TABLE ${table}`).join('; ')}`);
  const setBack = (kept: string[] = []) =>
    pool.query(
      `BEGIN; ${tables
        .filter((table) => !kept.includes(table))
        .map((table) => `DELETE FROM ${table}; INSERT INTO ${table} SELECT * FROM copy.${table.replace('.', '_')}`)
        .join('; ')}; DROP SCHEMA copy CASCADE; COMMIT`,
    );

  it.each([
    ['with what is published', []],
    ['without what is published', ['relay.published', 'relay.renewals', 'relay.streams', 'relay.acknowledged']],
  ])(
    '%s, under a running relay: subscribers see the other events at the positions that they know',
    async (_which, kept) => {
      const tenantId = newId();
      const other = newId();
      await relay();
      await append(tenantId, 3);
      await append(other, 2);
      await complete(tenantId);
      await complete(other);
      await copyTables();
      await append(tenantId, 4);
      await complete(tenantId);
      const lost = await held(tenantId);
      await setBack(kept);
      await append(tenantId, 2);
      await complete2(tenantId, lost);
      await append(tenantId, 4);
      await complete(tenantId);
      const now = await held(tenantId);
      expect(now.filter(({ position }) => position < 3)).toHaveLength(3);
      expect(now.at(-1)).toMatchObject({ position: 8, messageId: `${tenantId}:8` });
      expect(positions(await held(other))).toEqual([0, 1]);
    },
    60_000,
  );

  /** The log's events are the last that a subscriber sees at their positions; beyond them it still has what was lost. */
  const complete2 = async (tenantId: string, lost: Held[]) => {
    const log = await idsInLog(tenantId);
    const beyond = lost.slice(log.length).map(({ eventId }) => eventId);
    await until(async () => expect(subscriber(await held(tenantId))).toEqual([...log, ...beyond]));
  };
});

describe('a relay that was stopped for longer than its lease', () => {
  it('disturbs nobody when it wakes with a round half done', async () => {
    const tenantId = newId();
    let asleep: Promise<void> | null = null;
    const asked = Promise.withResolvers<void>();
    /** Sleeps between the acknowledgement and the record, as a stopped process would. */
    class Sleeper extends PostgresRelayStorage {
      override async record(progress: Parameters<PostgresRelayStorage['record']>[0]) {
        if (asleep && progress.advances.length > 0) {
          asked.resolve();
          await asleep;
        }
        return super.record(progress);
      }
    }
    const sleeper = new Relay({
      store,
      broker: new JetStreamBroker({
        nats: connection,
        logger: silentLogger,
        replicas: 1,
        publishTimeoutMs: 500,
        inboxPrefix: inboxPrefixOf('relay'),
      }),
      storage: new Sleeper(pool, 'relay'),
      leases: new PostgresLeaseTable(pool, 'relay'),
      logger: silentLogger,
      owner: 'sleeper',
      options: { pollMs: 100, lookMs: 100, leaseMs: 1_000 },
    });
    relays.push(sleeper);
    await sleeper.start();
    await append(tenantId, 2);
    await complete(tenantId);
    const wake = Promise.withResolvers<void>();
    asleep = wake.promise;
    await append(tenantId, 2);
    await asked.promise;
    await pool.query('UPDATE relay.leases SET owner = NULL, until = now(); DELETE FROM relay.members; ');
    await relay('successor');
    await pool.query("UPDATE relay.leases SET owner = 'successor', until = now() + interval '1 minute'");
    await append(tenantId, 3);
    const log = await idsInLog(tenantId);
    await until(async () => expect(subscriber(await held(tenantId))).toEqual(log));
    asleep = null;
    wake.resolve();
    await append(tenantId, 1);
    await complete(tenantId);
    expect((await held(tenantId)).map(({ messageId }) => messageId)).toEqual(upTo(7).map((position) => `${tenantId}:${position}`));
    const { rows } = await pool.query('SELECT position::int FROM relay.published WHERE tenant_id = $1', [tenantId]);
    expect(rows).toEqual([{ position: 7 }]);
  }, 60_000);
});
