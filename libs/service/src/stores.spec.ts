import { newId } from '@tenantry/contracts/ids';
import { fences, stores, type TableStore, tablesOfStores, tablesWithoutTenants } from '@tenantry/contracts/stores/stores';
import { isOfErased, keepOut } from '@tenantry/tenancy/erased-fence';
import { type Platform, startPlatform } from '@tenantry/tenancy/spec/platform';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { After } from './table-page.js';
import { TableStores } from './table-stores.js';

let platform: Platform;
const pools = new Map<string, pg.Pool>();
beforeAll(async () => {
  platform = await startPlatform();
}, 120_000);
afterAll(async () => {
  await Promise.all([...pools.values()].map((pool) => pool.end()));
  await platform?.stop();
});

/** As the owner's own login: with its rights and no others. */
const as = (service: string): TableStores => {
  const pool = pools.get(service) ?? new pg.Pool({ connectionString: platform.urlOf(service), max: 2 });
  pools.set(service, pool);
  return new TableStores(pool);
};
const tables = stores.filter((store): store is TableStore => store.kind === 'table');

describe('the registry of stores', () => {
  it('knows every table of the control plane', async () => {
    const { rows } = await platform.admin.query<{ name: string }>(
      `SELECT format('%s.%s', n.nspname, c.relname) AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
       WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'shared', 'app_shared')`,
    );
    const known = new Set([...tables.map(({ name }) => name), ...Object.keys(tablesWithoutTenants), ...Object.keys(tablesOfStores)]);
    const found = rows.map(({ name }) => name);
    expect(
      found.filter((name) => !known.has(name)).sort(),
      'These tables are not in libs/contracts/src/stores/stores.ts: say there how each is rid of a tenant, or that none is ever in it',
    ).toEqual([]);
    expect([...known].filter((name) => !found.includes(name)).sort(), 'These tables are registered, but are not there').toEqual([]);
  });

  it('keeps no table with a tenant’s id among those without tenants', async () => {
    const { rows } = await platform.admin.query<{ name: string }>(
      `SELECT format('%s.%s', table_schema, table_name) AS name FROM information_schema.columns WHERE column_name = 'tenant_id'`,
    );
    const withTenant = new Set(rows.map(({ name }) => name));
    expect(Object.keys(tablesWithoutTenants).filter((name) => withTenant.has(name))).toEqual([]);
  });

  it('names each store once, and puts those that are found through another before it', () => {
    expect(new Set(stores.map(({ name }) => name)).size).toBe(stores.length);
    for (const [index, store] of stores.entries()) {
      if (store.kind !== 'table') continue;
      const through = stores.findIndex((other) => other !== store && other.kind === 'table' && store.rows.includes(`FROM ${other.name} `));
      if (through !== -1) expect(index, store.name).toBeLessThan(through);
    }
  });

  it('holds for each table: its owner may erase, count and read it', async () => {
    for (const store of tables) {
      const tenantId = newId();
      await as(store.owner).erase(store, tenantId);
      expect(await as(store.owner).look(store, tenantId), store.name).toEqual({ found: 0, kept: 0 });
      if (store.exported !== null) expect(await as(store.owner).page(store, tenantId, null), store.name).toEqual({ rows: [], next: null });
    }
  });
});

const usage = tables.find(({ name }) => name === 'quota_metering.usage_log') as TableStore;

describe('a table as a store', () => {
  const timers = tables.find(({ name }) => name === 'billing.timers') as TableStore;
  const effects = tables.find(({ name }) => name === 'billing.effects') as TableStore;
  const checkpoints = tables.find(({ name }) => name === 'billing.checkpoints') as TableStore;
  const parked = tables.find(({ name }) => name === 'billing.parked') as TableStore;

  it('is read in pages without its secrets, and erased for one tenant only', async () => {
    const [tenantId, other] = [newId(), newId()];
    await platform.admin.query(
      `INSERT INTO quota_metering.usage_log (tenant_id, resource, amount, usage_date, command_id, request_hash, used_after, created_at)
       SELECT t, 'users', 1, '2026-01-01', n::text, 'h', n, now() FROM generate_series(1, 1201) n, unnest($1::uuid[]) t`,
      [[tenantId, other]],
    );
    const seen: unknown[] = [];
    let after: After = null;
    do {
      const page: Awaited<ReturnType<TableStores['page']>> = await as('quota-metering').page(usage, tenantId, after);
      seen.push(...page.rows.map((row) => row['used_after']));
      expect(page.rows[0]).not.toHaveProperty('request_hash');
      after = page.next;
    } while (after !== null);
    expect(seen).toEqual(Array.from({ length: 1201 }, (_, index) => index + 1));

    expect(await as('quota-metering').look(usage, tenantId)).toEqual({ found: 1201, kept: 0 });
    await as('quota-metering').erase(usage, tenantId);
    expect(await as('quota-metering').look(usage, tenantId)).toEqual({ found: 0, kept: 0 });
    expect(await as('quota-metering').look(usage, other)).toEqual({ found: 1201, kept: 0 });
  });

  it('keeps the timer that ends the export, and waits for effects that are under way', async () => {
    const tenantId = newId();
    await platform.admin.query(
      `INSERT INTO billing.timers (tenant_id, purpose, due_at, payload, next_attempt_at)
       VALUES ($1, 'trial-end', now(), '{"x": 1}', now()), ($1, 'erasure-export', now(), '{}', now())`,
      [tenantId],
    );
    await platform.admin.query(
      `INSERT INTO billing.effects (id, tenant_id, name, payload, causation_id, state, lease_until) VALUES
       ($2, $1, 'a', '{"who": "done"}', $2, 'done', NULL), ($3, $1, 'a', '{"who": "running"}', $3, 'running', now() + interval '1 min'),
       ($4, $1, 'a', '{"who": "waits"}', $4, 'pending', NULL), ($5, $1, 'a', '{"who": "died"}', $5, 'running', now() - interval '1 min'),
       ($6, $1, 'operation', '{"type": "erasure"}', $6, 'running', now() + interval '1 min')`,
      [tenantId, newId(), newId(), newId(), newId(), newId()],
    );
    expect(await as('billing').look(effects, tenantId)).toEqual({ found: 4, kept: 0 });
    await as('billing').erase(timers, tenantId);
    await as('billing').erase(effects, tenantId);
    expect(await as('billing').look(effects, tenantId)).toEqual({ found: 1, kept: 0 });
    const timersLeft = await platform.admin.query('SELECT purpose FROM billing.timers WHERE tenant_id = $1', [tenantId]);
    expect(timersLeft.rows).toEqual([{ purpose: 'erasure-export' }]);
    const left = await platform.admin.query(`SELECT payload ->> 'who' AS who FROM billing.effects WHERE tenant_id = $1 ORDER BY 1`, [
      tenantId,
    ]);
    expect(left.rows).toEqual([{ who: 'running' }, { who: null }]);
    await platform.admin.query(`UPDATE billing.effects SET state = 'done', lease_until = NULL WHERE payload ->> 'who' = 'running'`);
    await as('billing').erase(effects, tenantId);
    expect(await as('billing').look(effects, tenantId)).toEqual({ found: 0, kept: 0 });
  });

  it('that is kept is searched too, and says how much stays', async () => {
    const tenantId = newId();
    await platform.admin.query(
      `INSERT INTO billing.checkpoints (consumer, tenant_id, version, position, event_id) VALUES ('service', $1, 'v', 3, $2)`,
      [tenantId, newId()],
    );
    await platform.admin.query(
      `INSERT INTO billing.parked (consumer, tenant_id, position, event_id, error, attempts) VALUES ('service', $1, 3, $2, 'who', 5)`,
      [tenantId, newId()],
    );
    expect(await as('billing').look(checkpoints, tenantId)).toEqual({ found: 0, kept: 1 });
    expect(await as('billing').look(parked, tenantId)).toEqual({ found: 1, kept: 0 });
    await as('billing').erase(parked, tenantId);
    expect(await as('billing').look(parked, tenantId)).toEqual({ found: 0, kept: 1 });
  });
});

describe('what is written of an erased tenant', () => {
  const trigger = async (table: string) =>
    (await platform.admin.query(`SELECT FROM pg_trigger WHERE tgrelid = $1::regclass AND tgname = 'erased'`, [table])).rowCount;
  const erased = async (): Promise<string> => {
    const tenantId = newId();
    await keepOut(platform.places.pool, tenantId, newId());
    return tenantId;
  };
  const counted = async (table: string, tenantId: string, column = 'tenant_id') =>
    (await platform.admin.query(`SELECT FROM ${table} WHERE ${column} = $1`, [tenantId])).rowCount;

  it('is kept out of every table from which rows go, and there is none without a reason', async () => {
    for (const { table } of fences) expect(await trigger(table), table).toBe(1);
    // Of these it is found by the ids in the log: see the store of the broker.
    const without = tables.filter(({ method, fence }) => method !== 'kept' && fence === null).map(({ name }) => name);
    expect(without).toEqual(['progress', 'credentials', 'leases'].map((name) => `identity.event_subscription_${name}`));
  });

  it('is left out where a rebuild or a projection brings it, and others’ rows of the same statement are not', async () => {
    const [gone, other] = [await erased(), newId()];
    await platform.admin.query(
      `INSERT INTO billing.effects (id, tenant_id, name, payload, causation_id)
       SELECT gen_random_uuid(), t, n, p::jsonb, gen_random_uuid() FROM unnest($1::uuid[]) t, (VALUES ('a', '{"who": "x"}'), ('operation', '{"type": "erasure"}')) v(n, p)`,
      [[gone, other]],
    );
    expect(await counted('billing.effects', gone)).toBe(1);
    expect(await counted('billing.effects', other)).toBe(2);
    await platform.admin.query(
      `INSERT INTO identity.event_subscriptions (subscription_id, log_id, status, name, tenants, contexts, start_generation, start_from, account, credentials, created_at, version)
       SELECT gen_random_uuid(), t, 'active', '{}', '[]', '[]', 1, '"new"', 'a', 1, now(), 1 FROM unnest($1::uuid[]) t`,
      [[gone, other]],
    );
    expect(await counted('identity.event_subscriptions', gone, 'log_id')).toBe(0);
    expect(await counted('identity.event_subscriptions', other, 'log_id')).toBe(1);
  });

  it('is emptied where its ids stay, whether it is inserted or changed', async () => {
    const gone = await erased();
    const park = `INSERT INTO billing.parked (consumer, tenant_id, position, event_id, error, attempts) VALUES ('service', $1, 3, $2, 'who', 5)
      ON CONFLICT (consumer, tenant_id) DO UPDATE SET error = excluded.error`;
    for (let times = 0; times < 2; times++) {
      await platform.admin.query(park, [gone, newId()]);
      const { rows } = await platform.admin.query('SELECT error FROM billing.parked WHERE tenant_id = $1', [gone]);
      expect(rows).toEqual([{ error: '' }]);
    }
  });

  it('is refused where a call writes it', async () => {
    const gone = await erased();
    const writes = [
      `INSERT INTO quota_metering.usage_log (tenant_id, resource, amount, usage_date, command_id, request_hash, used_after, created_at)
       VALUES ('${gone}', 'users', 1, '2026-01-01', 'c', 'h', 1, now())`,
      `INSERT INTO identity.subject_keys (tenant_id, subject, version, tenant_key_version, wrapped) VALUES ('${gone}', 's', 1, 1, 'k')`,
      `INSERT INTO provisioning.file_writes (tenant_id, key, id, bytes) VALUES ('${gone}', 'k', '${newId()}', 1)`,
      `INSERT INTO tenancy.tenant_gate (tenant_id, generation) VALUES ('${gone}', 1)`,
    ];
    for (const write of writes) {
      const error = await platform.admin.query(write).catch((thrown: unknown) => thrown);
      expect(isOfErased(error), write).toBe(true);
    }
    // That there is no key any more is said by a row.
    await platform.admin.query('INSERT INTO identity.tenant_keys (tenant_id, version, destroyed_at) VALUES ($1, 1, now())', [gone]);
  });

  it('is waited for where it is being written, so that it is found', async () => {
    const tenantId = newId();
    const pool = new pg.Pool({ connectionString: platform.urlOf('quota-metering'), max: 1 });
    pools.set('late writer', pool);
    const writer = await pool.connect();
    await writer.query('BEGIN');
    await writer.query(
      `INSERT INTO quota_metering.usage_log (tenant_id, resource, amount, usage_date, command_id, request_hash, used_after, created_at)
       VALUES ($1, 'users', 1, '2026-01-01', 'c', 'h', 1, now())`,
      [tenantId],
    );
    let closed = false;
    const closing = keepOut(platform.places.pool, tenantId, newId()).then(() => {
      closed = true;
    });
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(closed).toBe(false);
    await writer.query('COMMIT');
    writer.release();
    await closing;
    expect(await as('quota-metering').look(usage, tenantId)).toEqual({ found: 1, kept: 0 });
    await as('quota-metering').erase(usage, tenantId);
    expect(await as('quota-metering').look(usage, tenantId)).toEqual({ found: 0, kept: 0 });
  });
});
