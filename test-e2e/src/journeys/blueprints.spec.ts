import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stampOf, versionOf } from '@tenantry/tenancy/compile';
import { tenantMigrations } from '@tenantry/tenancy/migration-files';
import { eventually } from '@tenantry/testing/eventually';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type System, startSystem } from '../harness/system.js';
import { activeTenant, PLATFORM, unique } from '../harness/tenants.js';

// A system of its own: its blueprints would come to every other spec's tenants.
let system: System;
let admin: pg.Client;
const isolations = ['shared', 'dedicated', 'dedicated', 'dedicated', 'isolated'] as const;
let before: string[];
const blueprints = `${PLATFORM}/blueprints`;
const row = `tenant_id uuid NOT NULL DEFAULT current_setting('app.tenant_id')::uuid`;
const first = `CREATE TABLE contacts (${row}, id int, name text, PRIMARY KEY (tenant_id, id))`;

beforeAll(async () => {
  // The first item that is done kills provisioning before that is written down.
  system = await startSystem({ TENANTRY_FAULT: 'provisioning:item.done:kill' });
  const { postgresUrl } = await system.run();
  admin = new pg.Client({ connectionString: postgresUrl.replace(/\/[^/]*$/, '/tenantry') });
  await admin.connect();
  before = await Promise.all(isolations.map(create));
}, 120_000);
afterAll(async () => {
  await admin?.end();
  expect(await system?.stop()).toBe(0);
}, 40_000);

async function create(isolation: string): Promise<string> {
  return (await activeTenant(system.api, { name: unique('Shop'), isolation, adminEmail: 'ada@shop.example' })).tenant.id;
}
const schemaOf = (tenantId: string) => `app_${tenantId.replaceAll('-', '')}`;
const ended = (url: string, statuses: readonly string[]) =>
  eventually(
    async () => {
      const { body } = await system.api.get(url);
      if (!statuses.includes(body.status)) throw new Error(JSON.stringify(body));
      return body;
    },
    { timeoutMs: 30_000, what: `the operation to be ${statuses}` },
  );
async function campaign(name: string, body: object) {
  const started = await system.api.post(`${blueprints}/${name}/campaigns`, body);
  expect(started.status, started.text).toBe(202);
  return started.headers.get('location') as string;
}
const items = async (url: string, status?: string) =>
  (await system.api.get(`${url}/items?limit=200${status ? `&status=${status}` : ''}`)).body.items as any[];
const logs = async () => {
  const folder = join(system.dataDir, 'logs');
  return Promise.all((await readdir(folder)).map((name) => readFile(join(folder, name), 'utf8')));
};
const ledger = async (name: string) =>
  (
    await admin.query(
      'SELECT app_schema, version FROM tenancy.app_ledger WHERE blueprint = $1 AND app_schema <> $2 ORDER BY app_schema, version',
      [name, schemaOf(before[4]!)],
    )
  ).rows;

describe('a blueprint', () => {
  it('is registered, and takes versions that PostgreSQL and its rules accept', async () => {
    const { api } = system;
    expect(await api.put(`${blueprints}/crm`, { supportsShared: true })).toMatchObject({
      status: 201,
      body: { status: 'active', latestVersion: null },
    });
    expect(await api.put(`${blueprints}/crm`, { supportsShared: true })).toMatchObject({ status: 200 });
    const publish = (version: number, sql: string) => api.post(`${blueprints}/crm/versions`, { version, sql });

    expect(await publish(1, 'CREATE TABLE a (id int);\nGRANT SELECT ON a TO PUBLIC')).toMatchObject({
      status: 422,
      body: {
        code: 'blueprint.sql_refused',
        statement: 'GRANT SELECT ON a TO PUBLIC',
        line: 2,
        errors: [{ field: 'sql', rule: 'grants' }],
      },
    });
    expect(await publish(1, 'CREATE TABLE a (id int PRIMARY KEY)')).toMatchObject({
      status: 422,
      body: { statement: 'CREATE TABLE a (id int PRIMARY KEY)', reason: expect.stringContaining('tenant_id') },
    });
    expect(await publish(1, 'ALTER TABLE nowhere ADD x int')).toMatchObject({
      status: 422,
      body: { reason: 'relation "nowhere" does not exist' },
    });
    const accepted = await publish(1, first);
    expect(accepted, accepted.text).toMatchObject({
      status: 201,
      body: { blueprint: 'crm', version: 1, statements: 1, compiled: true, sql: first },
    });
    expect(await publish(1, first)).toMatchObject({ status: 201 });
    expect(await publish(1, `${first} `)).toMatchObject({ status: 409, body: { code: 'blueprint.version_conflict' } });
    expect(await api.put(`${blueprints}/crm`, { supportsShared: false })).toMatchObject({ status: 409 });
    expect((await api.get(`${blueprints}/crm`)).body).toMatchObject({ supportsShared: true, latestVersion: 1, versions: [{ version: 1 }] });
    expect((await api.get(blueprints)).body.items).toMatchObject([{ name: 'crm' }]);
    expect(await api.get(`${blueprints}/crm/versions/2`)).toMatchObject({ status: 404, body: { code: 'blueprint.version_not_found' } });
    expect(await api.get(`${blueprints}/nowhere`)).toMatchObject({ status: 404, body: { code: 'blueprint.not_found' } });
  });

  it('comes to new tenants by itself, and to existing ones by a campaign at every level, through a crash, once each', async () => {
    const after = await create('dedicated');
    expect(await ledger('crm')).toEqual([{ app_schema: schemaOf(after), version: 1 }]);
    const dry = await system.api.post(`${blueprints}/crm/campaigns`, { toVersion: 1, dryRun: true });
    expect(dry, dry.text).toMatchObject({
      status: 200,
      body: {
        matched: 5,
        upToDate: 1,
        byIsolation: { shared: 1, dedicated: 3, isolated: 1 },
        waves: [{ wave: 1, targets: 5 }],
        statements: [first],
      },
    });
    const url = await campaign('crm', { toVersion: 1, canary: 1 });
    const operation = await ended(url, ['succeeded', 'failed', 'paused']);
    expect(operation, JSON.stringify(await items(url))).toMatchObject({ status: 'succeeded', counts: { total: 5, succeeded: 5 } });
    const all = await items(url);
    expect(all.map(({ tenantId }) => tenantId).sort()).toEqual([null, ...before.slice(1)].sort());
    expect(all.find(({ tenantId }) => tenantId === null)).toMatchObject({ target: 'tenantry.app_shared', status: 'succeeded' });
    const there = ['app_shared', schemaOf(after), ...before.slice(1, 4).map(schemaOf)].sort();
    expect(await ledger('crm')).toEqual(there.map((app_schema) => ({ app_schema, version: 1 })));
    expect((await system.api.get(`${blueprints}/crm/drift`)).body).toEqual({ items: [], nextCursor: null, examined: 6 });
  });

  it('stops after its canary, quarantines who cannot follow, says how he differs, and takes him along when he can', async () => {
    const [odd, ...others] = before.slice(1, 4).sort() as [string, string, string];
    const left = await create('shared');
    await admin.query(`ALTER TABLE ${schemaOf(others[1]!)}.contacts ADD COLUMN email text`);
    expect((await system.api.get(`${blueprints}/crm/drift`)).body.items).toMatchObject([
      {
        tenantId: others[1],
        target: `tenantry.${schemaOf(others[1]!)}`,
        expected: 1,
        found: null,
        differences: ['table contacts: unexpected: column email text'],
      },
    ]);
    const sql = `ALTER TABLE contacts ADD COLUMN email text; UPDATE contacts SET email = 'none'; CREATE VIEW named AS SELECT name FROM contacts`;
    expect(await system.api.post(`${blueprints}/crm/versions`, { version: 2, sql })).toMatchObject({
      status: 201,
      body: { compiled: false },
    });
    const url = await campaign('crm', { toVersion: 2, canary: 1, pauseAfterCanary: true, stopAfterFailures: 2 });
    expect(await ended(url, ['paused', 'succeeded', 'failed'])).toMatchObject({ status: 'paused', counts: { succeeded: 1, pending: 5 } });
    const [canary] = await items(url, 'succeeded');
    // The isolated tenant's ledger is in its own database.
    const here = canary.tenantId === before[4] ? [] : [{ app_schema: schemaOf(canary.tenantId), version: 2 }];
    expect((await ledger('crm')).filter(({ version }) => version === 2)).toEqual(here);
    const again = await system.api.post(`${blueprints}/crm/campaigns`, { toVersion: 2 });
    expect(again).toMatchObject({ status: 409, body: { code: 'blueprint.campaign_running' } });

    // The shared tables are not changed yet: who leaves them now has what they were.
    const move = await system.api.post(`${PLATFORM}/tenants/${left}/moves`, { isolation: 'dedicated' });
    await ended(move.headers.get('location') as string, ['succeeded']);
    const versions = async () =>
      (await ledger('crm')).filter(({ app_schema }) => app_schema === schemaOf(left)).map(({ version }) => version);
    expect(await versions()).toEqual([1]);
    expect((await system.api.post(`${url}/resume`)).status).toBeLessThan(300);
    const operation = await ended(url, ['succeeded', 'failed']);
    expect(operation).toMatchObject({ status: 'succeeded', counts: { total: 7, succeeded: 6, quarantined: 1 } });
    expect((await items(url)).at(-1)).toMatchObject({ tenantId: left, status: 'succeeded' });
    expect(await versions()).toEqual([1, 2]);
    expect(await items(url, 'quarantined')).toMatchObject([
      {
        tenantId: others[1],
        attempts: 1,
        error: expect.stringContaining('Statement 1 of version 2 of crm failed: there is such a column already'),
      },
    ]);
    await admin.query(`ALTER TABLE ${schemaOf(others[1]!)}.contacts DROP COLUMN email`);
    expect((await system.api.post(`${url}/retry`)).status).toBeLessThan(300);
    expect(
      await eventually(
        async () => {
          const { body } = await system.api.get(url);
          return body.counts.succeeded === 7 && body.status === 'succeeded' && body;
        },
        { timeoutMs: 20_000, what: 'the retried tenant' },
      ),
    ).toMatchObject({ counts: { quarantined: 0 } });
    expect(odd).toBeDefined();
    expect((await system.api.get(`${blueprints}/crm/drift`)).body.items).toEqual([]);
    const view = await admin.query(`SELECT has_table_privilege('tenantry_shared', 'app_shared.named', 'SELECT') AS allowed`);
    expect(view.rows).toEqual([{ allowed: true }]);
  });

  it('waits for locks that others hold, and stops after as many failures as were allowed', async () => {
    expect((await system.api.put(`${blueprints}/own`, { supportsShared: false })).status).toBe(201);
    const publish = async (version: number, sql: string) => {
      const { status, text } = await system.api.post(`${blueprints}/own/versions`, { version, sql });
      expect(status, text).toBe(201);
    };
    await publish(1, 'CREATE TABLE notes (id serial PRIMARY KEY, body text)');
    const campaigns = await ended(await campaign('own', { toVersion: 1, concurrency: 4 }), ['succeeded', 'failed', 'paused']);
    expect(campaigns).toMatchObject({ status: 'succeeded', counts: { total: 6 } });
    await publish(2, 'ALTER TABLE notes ADD COLUMN at timestamptz');
    const locked = before[1] as string;
    await admin.query(`BEGIN; LOCK TABLE ${schemaOf(locked)}.notes IN ACCESS SHARE MODE`);
    const url = await campaign('own', { toVersion: 2, lockTimeoutMs: 60, concurrency: 2 });
    await eventually(async () => (await items(url, 'succeeded')).length === 5, { what: 'the others to be done' });
    await admin.query('COMMIT');
    expect(await ended(url, ['succeeded', 'failed', 'paused'])).toMatchObject({ status: 'succeeded', counts: { succeeded: 6 } });
    expect((await items(url)).find(({ tenantId }) => tenantId === locked).attempts).toBeGreaterThan(1);

    for (const tenant of before.slice(1, 4)) await admin.query(`ALTER TABLE ${schemaOf(tenant)}.notes DROP COLUMN body`);
    await publish(3, 'ALTER TABLE notes ALTER COLUMN body SET NOT NULL');
    const stopping = await campaign('own', { toVersion: 3, concurrency: 1, stopAfterFailures: 1 });
    expect(await ended(stopping, ['paused', 'succeeded', 'failed'])).toMatchObject({
      status: 'paused',
      error: { code: 'operation.items_failed' },
    });
    expect((await system.api.post(`${stopping}/cancel`)).status).toBeLessThan(300);
    await ended(stopping, ['cancelled']);
  });

  it('tells nothing of a tenant’s rows where its SQL fails on them, and leaves no table of a tenant open', async () => {
    const planted = 'planted-8c1f';
    const [shop, gate] = [before[2] as string, before[3] as string];
    expect((await system.api.put(`${blueprints}/odd`, { supportsShared: false })).status).toBe(201);
    const publish = async (version: number, sql: string) => {
      const { status, text } = await system.api.post(`${blueprints}/odd/versions`, { version, sql });
      expect(status, text).toBe(201);
    };
    await publish(1, 'CREATE TABLE guests (id int PRIMARY KEY, name text)');
    await ended(await campaign('odd', { toVersion: 1, concurrency: 4 }), ['succeeded']);
    for (const tenant of [shop, gate])
      await admin.query(`INSERT INTO ${schemaOf(tenant)}.guests VALUES (1, $1)`, [`${planted}-${tenant === shop ? 'raise' : 'open'}`]);
    const raising = `IF EXISTS (SELECT FROM guests WHERE name LIKE '%raise') THEN
      RAISE SQLSTATE '42P01' USING MESSAGE = (SELECT name FROM guests), DETAIL = (SELECT name FROM guests), TABLE = (SELECT name FROM guests); END IF;`;
    const opening = `IF EXISTS (SELECT FROM guests WHERE name LIKE '%open') THEN CREATE TABLE extra (id int); END IF;`;
    await publish(2, `ALTER TABLE guests ADD COLUMN seen boolean; DO $$ BEGIN ${raising} ${opening} END $$`);
    const url = await campaign('odd', { toVersion: 2 });
    expect(await ended(url, ['succeeded', 'failed', 'paused'])).toMatchObject({ counts: { quarantined: 2 } });
    const quarantined = await items(url, 'quarantined');
    const errorOf = (tenant: string) => quarantined.find(({ tenantId }) => tenantId === tenant).error;
    expect(errorOf(shop)).toBe('Statement 2 of version 2 of odd failed: there is no such table (SQLSTATE 42P01).');
    expect(errorOf(gate)).toMatch(/^extra: .*Nothing was changed\.$/);
    expect((await admin.query('SELECT to_regclass($1) AS extra', [`${schemaOf(gate)}.extra`])).rows).toEqual([{ extra: null }]);

    const operation = await system.api.get(url);
    const events = await admin.query('SELECT e::text FROM log.events e');
    const rows = await admin.query('SELECT i::text FROM provisioning.job_items i');
    for (const told of [operation.text, JSON.stringify(events.rows), JSON.stringify(rows.rows), system.output(), ...(await logs())])
      expect(told).not.toContain(planted);
    expect((await system.api.put(`${blueprints}/odd`, { supportsShared: false, status: 'retired' })).status).toBe(200);
  });

  it('that is retired comes to nobody any more', async () => {
    expect((await system.api.put(`${blueprints}/own`, { supportsShared: false, status: 'retired' })).status).toBe(200);
    const tenant = await create('dedicated');
    const { rows } = await admin.query('SELECT tablename FROM pg_tables WHERE schemaname = $1', [schemaOf(tenant)]);
    expect(rows).toEqual([{ tablename: 'contacts' }]);
    const versions = await admin.query('SELECT version FROM tenancy.app_ledger WHERE app_schema = $1', [schemaOf(tenant)]);
    expect(versions.rows.at(-1)).toEqual({ version: 2 });
  });

  it('comes to those that a bulk operation names, and to no others', async () => {
    const { api } = system;
    expect((await api.put(`${blueprints}/extra`, { supportsShared: false })).status).toBe(201);
    const published = await api.post(`${blueprints}/extra/versions`, { version: 1, sql: 'CREATE TABLE extras (id int PRIMARY KEY)' });
    expect(published.status, published.text).toBe(201);
    const chosen = [before[1], before[4]] as string[];
    const asked = { action: 'migrate', tenantIds: chosen, params: { blueprint: 'extra' } };
    const started = await api.post(`${PLATFORM}/bulk-operations`, asked);
    expect(started.status, started.text).toBe(202);
    const url = started.headers.get('location') as string;
    expect(await ended(url, ['succeeded'])).toMatchObject({ counts: { total: 2, succeeded: 2 } });
    const { rows } = await admin.query<{ app_schema: string; version: number }>(
      "SELECT app_schema, version FROM tenancy.app_ledger WHERE blueprint = 'extra'",
    );
    expect(new Map(rows.map((one) => [one.app_schema, one.version]))).toEqual(new Map(chosen.map((id) => [schemaOf(id), 1])));
    const again = await api.post(`${PLATFORM}/bulk-operations`, asked);
    expect(await ended(again.headers.get('location') as string, ['succeeded'])).toMatchObject({ counts: { succeeded: 2 } });
  });
});

it('tenants of the release before get the new tables of this one by themselves', async () => {
  // As if the settings' table had come with this release: the installation was at the version without it, and one tenant still is.
  const newFile = 'provisioning/0001_config_settings.sql';
  const earlier = versionOf((await tenantMigrations()).filter(({ name }) => name !== newFile));
  const tenant = before[1] as string;
  const schema = schemaOf(tenant).replace('app_', 't_');
  await admin.query(`UPDATE tenancy.migrations SET applied_at = now() WHERE component = 'shared' AND file = '${newFile}'`);
  await admin.query(`DROP TABLE ${schema}.config_settings; COMMENT ON SCHEMA ${schema} IS '${stampOf(earlier)}'`);
  await admin.query('UPDATE tenancy.placements SET schema_version = $2 WHERE tenant_id = $1', [tenant, earlier]);
  const { processes } = await system.run();
  process.kill(processes.find(({ name }) => name === 'provisioning')!.pid, 'SIGKILL');
  const current = versionOf(await tenantMigrations());
  await eventually(
    async () => {
      const { rows } = await admin.query('SELECT schema_version FROM tenancy.placements WHERE tenant_id = $1', [tenant]);
      return rows[0].schema_version === current;
    },
    { timeoutMs: 30_000, what: 'the schema to be of this release' },
  );
  const { rows } = await admin.query(
    `SELECT relforcerowsecurity AS forced, obj_description(relnamespace, 'pg_namespace') AS stamp, has_table_privilege($2, oid, 'INSERT') AS granted
     FROM pg_class WHERE relname = 'config_settings' AND relnamespace = $1::regnamespace`,
    [schema, schema],
  );
  expect(rows).toEqual([{ forced: true, stamp: stampOf(current), granted: true }]);
});
