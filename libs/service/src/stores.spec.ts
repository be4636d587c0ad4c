import { newId } from '@tenantry/contracts/ids';
import { stores, type TableStore, tablesOfStores, tablesWithoutTenants } from '@tenantry/contracts/stores/stores';
import { type Platform, startPlatform } from '@tenantry/tenancy/spec/platform';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
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
      expect(await as(store.owner).count(store, tenantId), store.name).toBe(0);
      if (store.exported !== null) expect(await as(store.owner).page(store, tenantId, null), store.name).toEqual({ rows: [], next: null });
    }
  });
});

describe('a table as a store', () => {
  const usage = tables.find(({ name }) => name === 'quota_metering.usage_log') as TableStore;
  const timers = tables.find(({ name }) => name === 'billing.timers') as TableStore;
  const effects = tables.find(({ name }) => name === 'billing.effects') as TableStore;

  it('is read in pages without its secrets, and erased for one tenant only', async () => {
    const [tenantId, other] = [newId(), newId()];
    await platform.admin.query(
      `INSERT INTO quota_metering.usage_log (tenant_id, resource, amount, usage_date, command_id, request_hash, used_after, created_at)
       SELECT t, 'users', 1, '2026-01-01', n::text, 'h', n, now() FROM generate_series(1, 1201) n, unnest($1::uuid[]) t`,
      [[tenantId, other]],
    );
    const seen: unknown[] = [];
    let after: unknown = null;
    do {
      const page = await as('quota-metering').page(usage, tenantId, after);
      seen.push(...page.rows.map((row) => row['used_after']));
      expect(page.rows[0]).not.toHaveProperty('request_hash');
      after = page.next;
    } while (after !== null);
    expect(seen).toEqual(Array.from({ length: 1201 }, (_, index) => index + 1));

    expect(await as('quota-metering').count(usage, tenantId)).toBe(1201);
    await as('quota-metering').erase(usage, tenantId);
    expect(await as('quota-metering').count(usage, tenantId)).toBe(0);
    expect(await as('quota-metering').count(usage, other)).toBe(1201);
  });

  it('keeps the timer that ends the export, and the ids of what was done', async () => {
    const tenantId = newId();
    await platform.admin.query(
      `INSERT INTO billing.timers (tenant_id, purpose, due_at, payload, next_attempt_at)
       VALUES ($1, 'trial-end', now(), '{"x": 1}', now()), ($1, 'erasure-export', now(), '{}', now())`,
      [tenantId],
    );
    const effectId = newId();
    await platform.admin.query(
      `INSERT INTO billing.effects (id, tenant_id, name, payload, causation_id, state, last_error) VALUES
       ($2, $1, 'a', '{"who": "x"}', $2, 'done', 'x'), ($3, $1, 'a', '{"who": "x"}', $3, 'running', NULL)`,
      [tenantId, effectId, newId()],
    );
    expect(await as('billing').count(effects, tenantId)).toBe(1);
    await as('billing').erase(timers, tenantId);
    await as('billing').erase(effects, tenantId);
    expect(await as('billing').count(effects, tenantId)).toBe(0);
    const left = await platform.admin.query('SELECT purpose FROM billing.timers WHERE tenant_id = $1', [tenantId]);
    expect(left.rows).toEqual([{ purpose: 'erasure-export' }]);
    const done = await platform.admin.query('SELECT payload, last_error FROM billing.effects WHERE id = $1', [effectId]);
    expect(done.rows).toEqual([{ payload: {}, last_error: null }]);
  });
});
