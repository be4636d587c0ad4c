import { readdir, readFile } from 'node:fs/promises';
import { DomainError } from '@tenantry/contracts/errors';
import { newId } from '@tenantry/contracts/ids';
import { type RunningPostgres, startPostgres } from '@tenantry/testing/postgres';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { command } from '../../conformance/given.js';
import { modelProperty } from '../../conformance/model.js';
import { eventStoreConformance } from '../../conformance.js';
import { PostgresEventStore } from './postgres-event-store.js';

const migrations = new URL('../../../migrations/', import.meta.url);
const logins = ['tenantry_provisioning', 'tenantry_billing', 'tenantry_gateway'];
const pools: pg.Pool[] = [];
let postgres: RunningPostgres;

/** A pool as one of the services' logins, or as the superuser. */
function poolAs(login?: string, name?: string): pg.Pool {
  const url = new URL(postgres.url);
  if (login) {
    url.username = login;
    url.password = 'secret';
  }
  const pool = new pg.Pool({ connectionString: url.href, max: 4, application_name: name });
  // Tests end backends on purpose; an idle client's loss is no fault.
  pool.on('error', () => undefined);
  pools.push(pool);
  return pool;
}

beforeAll(async () => {
  postgres = await startPostgres();
  const pool = poolAs();
  for (const file of (await readdir(migrations)).sort()) await pool.query(await readFile(new URL(file, migrations), 'utf8'));
  for (const login of logins) await pool.query(`CREATE ROLE ${login} LOGIN PASSWORD 'secret' IN ROLE tenantry_services`);
}, 90_000);

afterAll(async () => {
  await Promise.all(pools.map((pool) => pool.end()));
  await postgres?.stop();
});

// As a service's login: what it may do is what the adapter needs.
eventStoreConformance('postgres', async (options) => {
  const pool = poolAs();
  await pool.query(
    `INSERT INTO log.writers SELECT 'tenantry_provisioning', c FROM unnest(ARRAY['quota', 'billing']) c ON CONFLICT DO NOTHING`,
  );
  return new PostgresEventStore(poolAs('tenantry_provisioning'), options);
});

let shared: pg.Pool | undefined;
modelProperty(
  'postgres',
  async () => {
    shared ??= poolAs('tenantry_provisioning');
    return new PostgresEventStore(shared);
  },
  60,
);

describe('the log in PostgreSQL', () => {
  it('lets a login write its own contexts only; the others of a group are not disturbed', async () => {
    const store = new PostgresEventStore(poolAs('tenantry_billing'));
    const tenantId = newId();
    const results = await Promise.allSettled([
      store.append(command(tenantId, { events: [{ context: 'billing' }, { context: 'tenant' }] })),
      store.append(command(tenantId, { events: [{ context: 'billing' }] })),
    ]);
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'fulfilled']);
    const log = await store.readLog(tenantId, 0);
    expect(log.events.map(({ context, previousInContext }) => [context, previousInContext])).toEqual([['billing', null]]);
    const nobody = new PostgresEventStore(poolAs('tenantry_gateway'));
    await expect(nobody.append(command(newId(), { events: [{ context: 'billing' }] }))).rejects.toThrow('may not append');
  });

  it('lets services read, and write nothing but through append()', async () => {
    const pool = poolAs('tenantry_provisioning');
    const tenantId = newId();
    await new PostgresEventStore(pool).append(command(tenantId));
    expect((await pool.query('SELECT 1 FROM log.events WHERE tenant_id = $1', [tenantId])).rowCount).toBe(1);
    const forbidden = [
      'DELETE FROM log.events',
      'UPDATE log.heads SET position = 7',
      `INSERT INTO log.commands VALUES ('${tenantId}', 'x', 's', NULL, 0, 0)`,
      'TRUNCATE log.events',
      'SELECT * FROM log.events_00',
      `INSERT INTO log.writers VALUES ('tenantry_provisioning', 'audit')`,
      'SELECT 1 FROM log.heads FOR UPDATE',
    ];
    for (const statement of forbidden) await expect(pool.query(statement), statement).rejects.toMatchObject({ code: '42501' });
  });

  it('shows its rows neither to other roles nor by a partition', async () => {
    const pool = poolAs();
    await pool.query(
      "CREATE ROLE stranger LOGIN PASSWORD 'secret'; GRANT USAGE ON SCHEMA log TO stranger; GRANT SELECT ON ALL TABLES IN SCHEMA log TO stranger",
    );
    await new PostgresEventStore(pool).append(command(newId()));
    const stranger = poolAs('stranger');
    expect((await stranger.query('SELECT 1 FROM log.events')).rowCount).toBe(0);
    const client = await pool.connect();
    try {
      await client.query('SET ROLE tenantry_owner');
      const { rows } = await client.query<{ partition: string }>(
        "SELECT inhrelid::regclass::text AS partition FROM pg_inherits WHERE inhparent = 'log.events'::regclass",
      );
      expect(rows).toHaveLength(16);
      for (const { partition } of rows) expect((await client.query(`SELECT 1 FROM ${partition}`)).rowCount).toBe(0);
    } finally {
      client.release(true);
    }
  });

  it('goes on when its connections are ended in the middle, and appends nothing twice', async () => {
    const store = new PostgresEventStore(poolAs('tenantry_provisioning', 'victim'));
    const admin = poolAs();
    const tenants = Array.from({ length: 8 }, newId);
    let writing = true;
    const endBackends = async () => {
      let ended = 0;
      while (writing) {
        // Long enough for a new connection to plan and append on a busy machine.
        await new Promise((resolve) => setTimeout(resolve, 400));
        ended +=
          (await admin.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'victim'")).rowCount ?? 0;
      }
      return ended;
    };
    const write = async (tenantId: string) => {
      for (let version = -1; version < 299; version++) await store.append(command(tenantId, { expectedVersion: version }));
    };
    const [ended] = await Promise.all([
      endBackends(),
      Promise.all(tenants.map(write)).finally(() => {
        writing = false;
      }),
    ]);
    expect(ended).toBeGreaterThan(0);
    expect(await store.heads({ tenantIds: tenants })).toEqual([...tenants].sort().map((tenantId) => ({ tenantId, position: 299 })));
  }, 60_000);

  it('fails a command that the database cannot read, not those that came with it', async () => {
    const store = new PostgresEventStore(poolAs('tenantry_provisioning'));
    const results = await Promise.allSettled([
      store.append(command(newId())),
      store.append(command('no-uuid')),
      store.append(command(newId())),
    ]);
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  });

  it('does not deadlock when groups of several processes begin and share the same logs', async () => {
    const stores = Array.from({ length: 4 }, () => new PostgresEventStore(poolAs('tenantry_provisioning')));
    for (let round = 0; round < 10; round++) {
      const tenants = Array.from({ length: 20 }, newId);
      const results = await Promise.allSettled(
        stores.flatMap((store, index) => {
          const order = index % 2 ? tenants : [...tenants].reverse();
          return order.map((tenantId) => store.append(command(tenantId, { stream: `s${index}` })));
        }),
      );
      expect(results.filter(({ status }) => status === 'rejected')).toEqual([]);
    }
  });

  it('says so when the database does not answer', async () => {
    const pool = new pg.Pool({ connectionString: 'postgres://nobody@127.0.0.1:1/none' });
    pools.push(pool);
    const store = new PostgresEventStore(pool, { retryForMs: 100 });
    const failure = await store.append(command(newId())).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(DomainError);
    expect(failure).toMatchObject({ code: 'service.unavailable' });
    await expect(store.readLog(newId(), 0)).rejects.toMatchObject({ code: 'service.unavailable' });
  });
});
