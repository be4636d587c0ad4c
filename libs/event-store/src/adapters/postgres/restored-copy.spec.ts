import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { newId } from '@tenantry/contracts/ids';
import { type RunningPostgres, startPostgres } from '@tenantry/testing/postgres';
import { dumpTables, loadTables } from '@tenantry/testing/postgres-copy';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { command, HMAC, positions, upTo, wholeLog } from '../../conformance/given.js';
import { isIntact } from '../../hash.js';
import { PostgresEventStore } from './postgres-event-store.js';

/** Everything that the log is: its tables, and nothing of the server that they were in. */
const tables = ['log.events', 'log.heads', 'log.commands', 'log.writers'];
const migrations = new URL('../../../migrations/', import.meta.url);
const servers: RunningPostgres[] = [];
const pools: pg.Pool[] = [];
let folder: string;

/** A server of its own with empty logs, whose transactions are counted from somewhere else than the others'. */
async function freshServer(): Promise<{ url: string; store: PostgresEventStore }> {
  const server = await startPostgres();
  servers.push(server);
  const admin = new pg.Client({ connectionString: server.url });
  await admin.connect();
  for (const file of (await readdir(migrations)).sort()) await admin.query(await readFile(new URL(file, migrations), 'utf8'));
  await admin.query("CREATE ROLE tenantry_provisioning LOGIN PASSWORD 'secret' IN ROLE tenantry_services");
  await admin.end();
  const url = new URL(server.url);
  url.username = 'tenantry_provisioning';
  url.password = 'secret';
  const pool = new pg.Pool({ connectionString: url.href, max: 4 });
  pools.push(pool);
  return { url: server.url, store: new PostgresEventStore(pool) };
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tenantry-log-copy-'));
});
afterAll(async () => {
  await Promise.all(pools.map((pool) => pool.end()));
  await Promise.all(servers.map((server) => server.stop()));
  await rm(folder, { recursive: true, force: true });
});

describe('a copy of the log in another server', () => {
  it('is the same log, and goes on from its own moment', async () => {
    const original = await freshServer();
    const tenants = upTo(20).map(newId);
    const known = command(tenants[0] as string, { stream: 'known', requestHmac: HMAC, events: [{}, { context: 'config' }] });
    await original.store.append(known);
    for (let version = -1; version < 30; version++) {
      await Promise.all(tenants.map((tenantId) => original.store.append(command(tenantId, { expectedVersion: version, events: [{}] }))));
    }
    const atTheCopy = new Map(await Promise.all(tenants.map(async (id) => [id, await wholeLog(original.store, id)] as const)));

    await dumpTables(original.url, tables, folder);
    // Written after the moment of the copy: it knows nothing of this.
    const lost = command(tenants[1] as string, { expectedVersion: 30, requestHmac: HMAC });
    await original.store.append(lost);

    const copy = await freshServer();
    await loadTables(copy.url, tables, folder);

    for (const [tenantId, expected] of atTheCopy) expect(await wholeLog(copy.store, tenantId)).toEqual(expected);
    expect(await copy.store.heads({ tenantIds: tenants })).toEqual(
      [...atTheCopy].map(([tenantId, log]) => ({ tenantId, position: log.length - 1 })).sort((a, b) => (a.tenantId < b.tenantId ? -1 : 1)),
    );
    // Command ids last for ever, in the copy too; one that it never saw is new to it.
    expect(await copy.store.append(known)).toMatchObject({ outcome: 'repeated', events: [{ position: 0 }, { position: 1 }] });
    expect(await copy.store.append(lost)).toMatchObject({ outcome: 'appended', events: [{ position: 31 }] });

    await Promise.all(
      tenants
        .slice(2)
        .map((tenantId) => copy.store.append(command(tenantId, { expectedVersion: 30, events: [{}, { context: 'config' }] }))),
    );
    await copy.store.append(command(newId()));
    for (const tenantId of tenants) {
      const log = await wholeLog(copy.store, tenantId);
      expect(positions(log)).toEqual(upTo(log.length));
      expect(log.length).toBeGreaterThanOrEqual(31);
      expect(log.filter((event) => !isIntact(event))).toEqual([]);
      log.slice(1).forEach((event, n) => {
        expect(event.recordedAt > (log[n]?.recordedAt ?? '')).toBe(true);
      });
      expect(log.at(-1)?.previousInContext).toBe(
        log.slice(0, -1).findLast(({ context }) => context === log.at(-1)?.context)?.position ?? null,
      );
    }
    // The original goes on by itself.
    expect(await original.store.append(command(tenants[1] as string, { expectedVersion: 31 }))).toMatchObject({
      events: [{ position: 32 }],
    });
  }, 90_000);

  it('of an older moment may take the place of the newer one: what comes then is another history from there', async () => {
    const { url, store } = await freshServer();
    const tenantId = newId();
    await store.append(command(tenantId, { events: [{}, {}, {}] }));
    const older = join(folder, 'older');
    await dumpTables(url, tables, older);
    const gone = await store.append(command(tenantId, { expectedVersion: 2, events: [{}, {}] }));
    await loadTables(url, tables, older);

    expect(await store.heads({ tenantIds: [tenantId] })).toEqual([{ tenantId, position: 2 }]);
    const instead = await store.append(command(tenantId, { expectedVersion: 2 }));
    expect(positions(instead.events)).toEqual([3]);
    expect(instead.events[0]?.id).not.toBe(gone.events[0]?.id);
    expect(positions(await wholeLog(store, tenantId))).toEqual([0, 1, 2, 3]);
  }, 90_000);
});

describe('the tables of the log', () => {
  it('depend on nothing of the server that they are in: no sequence, no transaction id, no default but what is given', async () => {
    const { url } = await freshServer();
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    try {
      const { rows: sequences } = await client.query(
        "SELECT relname FROM pg_class WHERE relkind = 'S' AND relnamespace = 'log'::regnamespace",
      );
      expect(sequences).toEqual([]);
      const { rows: functions } = await client.query<{ proname: string; prosrc: string }>(
        "SELECT proname, prosrc FROM pg_proc WHERE pronamespace = 'log'::regnamespace",
      );
      expect(functions.map(({ proname }) => proname)).toContain('append');
      for (const { proname, prosrc } of functions)
        expect(prosrc, proname).not.toMatch(/\b(xmin|xmax|txid|pg_current_xact|nextval|pg_notify|NOTIFY)\b/i);
    } finally {
      await client.end();
    }
  }, 90_000);
});
