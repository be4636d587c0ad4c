import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { objectDifferences, objectsOf, printsFrom, printsOf } from './blueprint-objects.js';
import { tryOut } from './blueprint-scratch.js';
import { type AppPlace, type AppStep, appWork, changeApp, type Stamp } from './blueprint-script.js';
import { examine } from './blueprint-sql.js';
import { appLedger, stepsBetween } from './blueprints.js';
import { urlFor } from './login-secret.js';
import { catchUp, copy, fence, finish, prepare, retire, switchOver, verify } from './move/move.js';
import { placementFor } from './names.js';
import { inOneMessage } from './place-context.js';
import type { Placement } from './placement.js';
import { PostgresTenants } from './postgres-tenants.js';
import { createPlace, dropPlace } from './provision-schema.js';
import { type Platform, startPlatform, testKeys } from './spec/platform.js';
import { publishOn } from './spec/publish.js';

let platform: Platform;
let tenants: PostgresTenants;
beforeAll(async () => {
  platform = await startPlatform();
  tenants = new PostgresTenants({ pool: platform.places.pool, url: platform.places.url, keys: testKeys });
}, 60_000);
afterAll(async () => {
  await tenants?.close();
  await platform?.stop();
});

const row = `tenant_id uuid NOT NULL DEFAULT current_setting('app.tenant_id')::uuid`;

async function tried(sql: string, { shared = false, after = [] as string[], stamp = noStamp as Stamp } = {}) {
  const before = after.map((own, index) => ({ blueprint: 'x', version: index + 1, checksum: 'x', statements: [own], stamp }));
  const { statements, refusals, hasData, isFoldable } = await examine(sql);
  expect(refusals).toEqual([]);
  return tryOut(platform.places.app, { statements, hasData, supportsShared: shared, before, isFoldable });
}
const noStamp = { tables: [], force: [], unforce: [], sequences: [], views: [] };

/** As a campaign does it. */
const change = (place: AppPlace & { database?: string; generation?: number }, steps: readonly AppStep[], from: number) =>
  platform.places.app.run({ server: 'default', database: place.database ?? 'tenantry' }, (client) =>
    inOneMessage(client, changeApp(place, steps, appWork(place, steps), from, place.generation ?? null)),
  );

const publish = (name: string, supportsShared: boolean, versions: string[]) => publishOn(platform, name, supportsShared, versions);

describe('a version on the scratch schema', () => {
  it('names the statement that fails, and why', async () => {
    const { refusals } = await tried('CREATE TABLE a (id int);\nALTER TABLE b ADD COLUMN x int');
    expect(refusals).toEqual([
      { statement: 2, line: 2, sql: 'ALTER TABLE b ADD COLUMN x int', rule: 'fails', reason: 'relation "b" does not exist' },
    ]);
  });

  it('leaves nothing behind', async () => {
    await tried('CREATE TABLE a (id int)');
    const { rowCount } = await platform.admin.query(`SELECT FROM pg_namespace WHERE nspname LIKE 'app\\_%' AND nspname <> 'app_shared'`);
    expect(rowCount).toBe(0);
  });

  it('reaches nothing but the schema, even through a function that hides what it does', async () => {
    const hidden = `CREATE FUNCTION f(name text) RETURNS bigint LANGUAGE sql AS $$ SELECT count(*) FROM pg_class WHERE oid = name::regclass $$`;
    const { refusals } = await tried(`${hidden}; SELECT f('tenancy' || chr(46) || 'placements')`);
    expect(refusals).toMatchObject([{ statement: 2, reason: expect.stringContaining('permission denied') }]);
  });

  it('defines no function with the name of one of PostgreSQL’s, which would be taken for it', async () => {
    const { refusals } = await tried(`CREATE FUNCTION format(a text, b name) RETURNS text LANGUAGE sql AS $$ SELECT 'x' $$`);
    expect(refusals).toMatchObject([{ statement: 1, reason: expect.stringContaining('format has the name of one of PostgreSQL’s own') }]);
  });

  it.each([
    ['no tenant_id', 'CREATE TABLE a (id uuid PRIMARY KEY)', 'tenant_id uuid NOT NULL DEFAULT'],
    ['no default', 'CREATE TABLE a (tenant_id uuid NOT NULL, id uuid, PRIMARY KEY (tenant_id, id))', 'tenant_id uuid NOT NULL DEFAULT'],
    ['no primary key', `CREATE TABLE a (${row}, id uuid)`, 'needs a primary key'],
    ['a key without it', `CREATE TABLE a (${row}, id uuid PRIMARY KEY)`, 'must begin with tenant_id'],
    [
      'a unique index without it',
      `CREATE TABLE a (${row}, id uuid, PRIMARY KEY (tenant_id, id)); CREATE UNIQUE INDEX i ON a (id)`,
      'index i',
    ],
    [
      'a foreign key that leads elsewhere',
      `CREATE TABLE a (${row}, id uuid, PRIMARY KEY (tenant_id, id)); CREATE TABLE b (${row}, a uuid, PRIMARY KEY (tenant_id, a), FOREIGN KEY (tenant_id, a) REFERENCES a (id, tenant_id))`,
      'must lead to tenant_id first',
    ],
    [
      'rows of nobody',
      `CREATE TABLE a (${row}, id int, PRIMARY KEY (tenant_id, id)); INSERT INTO a (id) VALUES (1)`,
      'must name tenant_id',
    ],
    ['a view that holds rows', 'CREATE MATERIALIZED VIEW m AS SELECT 1', 'without row-level security'],
  ])('refuses for app_shared: %s', async (_, sql, reason) => {
    const { refusals } = await tried(sql, { shared: true });
    expect(refusals[0]).toMatchObject({ reason: expect.stringContaining(reason) });
  });

  it('may add a foreign key between tables of app_shared', async () => {
    const both = `CREATE TABLE a (${row}, id uuid, PRIMARY KEY (tenant_id, id)); CREATE TABLE b (${row}, id uuid, PRIMARY KEY (tenant_id, id))`;
    const { refusals, stamp } = await tried('ALTER TABLE b ADD FOREIGN KEY (tenant_id, id) REFERENCES a', {
      shared: true,
      stamp: { ...noStamp, tables: ['a', 'b'].map((name) => ({ name, hasTenant: true })) },
      after: [both],
    });
    expect(refusals).toEqual([]);
    expect(stamp).toMatchObject({ unforce: ['a', 'b'], force: ['a', 'b'] });
  });

  it('folds versions into the very same state, and says so where it cannot', async () => {
    const foldable = await tried('ALTER TABLE b ADD COLUMN n int DEFAULT 1, ADD FOREIGN KEY (x) REFERENCES a; CREATE INDEX i ON b (n)', {
      after: ['CREATE TABLE b (x int, doc jsonb DEFAULT \'{"a":"b"}\'); CREATE TABLE a (id int PRIMARY KEY)'],
    });
    expect(foldable.compiled?.sql).toContain('CREATE TABLE "b"');
    expect((await tried('CREATE TABLE a (id int GENERATED ALWAYS AS IDENTITY)')).compiled).toBeNull();
  });
});

describe('tenants of a blueprint', () => {
  const shared = placementFor(randomUUID(), 'shared');
  const other = placementFor(randomUUID(), 'shared');
  const dedicated = placementFor(randomUUID(), 'dedicated');
  const isolated = placementFor(randomUUID(), 'isolated');
  beforeAll(async () => {
    await publish('crm', true, [
      `CREATE TABLE contacts (${row}, id int, name text, PRIMARY KEY (tenant_id, id)); COMMENT ON TABLE contacts IS 'it''s "x":"y"'`,
      `ALTER TABLE contacts ADD COLUMN email text; CREATE VIEW emails AS SELECT email FROM contacts; CREATE SEQUENCE numbers -- last`,
    ]);
    await publish('own', false, ['CREATE TABLE notes (id serial PRIMARY KEY, body text NOT NULL)']);
    for (const place of [shared, other, dedicated, isolated]) expect(await createPlace(platform.places, place)).toEqual({ created: true });
    for (const place of [shared, dedicated, isolated]) expect(await createPlace(platform.places, place)).toEqual({ created: false });
  }, 60_000);

  it.each([shared, dedicated, isolated])('have its tables, rights and row-level security: $isolation', async (place) => {
    const rows = await tenants.withTenant(place.tenantId, async ({ client }) => {
      await client.query(`INSERT INTO contacts (id, name, email) VALUES (1, 'Ada', 'ada@x.example')`);
      await client.query(`SELECT nextval('numbers')`);
      return (await client.query('SELECT tenant_id, email FROM contacts')).rows;
    });
    expect(rows).toEqual([{ tenant_id: place.tenantId, email: 'ada@x.example' }]);
    expect(await tenants.withTenant(place.tenantId, async ({ client }) => (await client.query('SELECT * FROM emails')).rowCount)).toBe(1);
  });

  it('see only their own rows in the shared schema, through views too', async () => {
    const seen = await tenants.withTenant(other.tenantId, async ({ client }) => [
      (await client.query('SELECT * FROM contacts')).rowCount,
      (await client.query('SELECT * FROM emails')).rowCount,
    ]);
    expect(seen).toEqual([0, 0]);
  });

  it('have tables without tenant_id only where they are alone, and behind a context as well', async () => {
    await expect(tenants.withTenant(shared.tenantId, async ({ client }) => client.query('SELECT * FROM notes'))).rejects.toThrow('notes');
    await tenants.withTenant(dedicated.tenantId, async ({ client }) => {
      await client.query(`INSERT INTO notes (body) VALUES ('x')`);
      await client.query(`SELECT set_config('app.tenant_id', $1, true)`, [other.tenantId]);
      expect((await client.query('SELECT * FROM notes')).rowCount).toBe(0);
    });
  });

  it('can neither change the tables nor the ledger', async () => {
    const attempt = (sql: string) => tenants.withTenant(dedicated.tenantId, async ({ client }) => client.query(sql));
    await expect(attempt('ALTER TABLE contacts ADD COLUMN x int')).rejects.toThrow('must be owner');
    await expect(attempt('CREATE TABLE x ()')).rejects.toThrow('permission denied');
    await expect(attempt('DELETE FROM tenancy.app_ledger')).rejects.toThrow('permission denied');
  });

  it('are written down in the ledger of their database, with the checksum', async () => {
    const ledger = await appLedger(platform.places.pool, ['app_shared', dedicated.appSchema, isolated.appSchema]);
    expect([...ledger.get('app_shared')!.keys()]).toEqual(['crm']);
    for (const { appSchema } of [dedicated, isolated])
      expect(Object.fromEntries(ledger.get(appSchema)!)).toMatchObject({ crm: { version: 2 }, own: { version: 1 } });
    const own = new pg.Client({ connectionString: urlFor(platform.server.url, isolated.database) });
    await own.connect();
    expect((await own.query('SELECT FROM tenancy.app_ledger')).rowCount).toBe(3);
    await own.end();
  });

  it('go forward once, however many try, and hold what the version says', async () => {
    await publish('crm', true, [
      `UPDATE contacts SET name = upper(name); ALTER TABLE contacts RENAME TO people; CREATE TABLE "Odd one" (${row} PRIMARY KEY)`,
    ]);
    const steps = await stepsBetween(platform.places.pool, 'crm', 2, 3);
    const advance = (place: AppPlace) => change(place, steps, 2);
    const both = await Promise.allSettled([advance(dedicated), advance(dedicated)]);
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(both.find((result) => result.status === 'rejected')).toMatchObject({ reason: { code: 'TG004' } });

    await tenants.withTenant(other.tenantId, async ({ client }) => client.query(`INSERT INTO contacts (id, name) VALUES (9, 'Bob')`));
    await advance({ appSchema: 'app_shared', role: 'tenantry_shared', tenantId: null });
    for (const [place, names] of [
      [shared, ['ADA']],
      [other, ['BOB']],
      [dedicated, ['ADA']],
    ] as const)
      expect(await tenants.withTenant(place.tenantId, async ({ client }) => (await client.query('SELECT name FROM people')).rows)).toEqual(
        names.map((name) => ({ name })),
      );

    const { rows } = await platform.admin.query('SELECT objects FROM tenancy.blueprint_versions WHERE blueprint = $1 AND version = 3', [
      'crm',
    ]);
    const expected = rows[0].objects;
    const schemas = ['app_shared', dedicated.appSchema];
    await platform.admin.query('SET ROLE tenantry_owner');
    const [found, prints] = [await objectsOf(platform.admin, schemas), await printsOf(platform.admin, schemas)];
    await platform.admin.query('RESET ROLE');
    expect(objectDifferences(expected, found.get('app_shared')!)).toEqual([]);
    expect(prints.get('app_shared')).toEqual(printsFrom(expected));
    const { 'table notes': _, 'sequence notes_id_seq': __, ...ofCrm } = found.get(dedicated.appSchema)!;
    expect(objectDifferences(expected, ofCrm)).toEqual([]);
    expect(found.get('app_shared')!['table people']).toContain('row security t t');
  });

  it('keep their versions when they move, and go forward from there', async () => {
    const first = placementFor(randomUUID(), 'dedicated');
    await createPlace(platform.places, first);
    await tenants.withTenant(first.tenantId, async ({ client }) => client.query(`INSERT INTO people (id, name) VALUES (1, 'Eve')`));
    const moved = async (from: Placement, isolation: 'dedicated' | 'isolated') => {
      const to = { ...placementFor(from.tenantId, isolation, { generation: from.generation + 1 }), ready: true };
      const move = { from: { ...from, ready: true }, to };
      const prepared = await prepare(platform.places, move);
      for (const step of [copy, catchUp]) await step(platform.places, move);
      for (const step of [fence, verify]) await step(platform.places, move);
      await switchOver(platform.places, move, prepared);
      for (const step of [finish, retire]) await step(platform.places, move);
      return to;
    };
    const away = await moved(first, 'isolated');
    await publish('crm', true, ['ALTER TABLE people ADD COLUMN phone text']);
    await change(away, await stepsBetween(platform.places.pool, 'crm', 3, 4), 3);
    const back = await moved(away, 'dedicated');
    const ledger = await appLedger(platform.places.pool, [back.appSchema]);
    expect(Object.fromEntries(ledger.get(back.appSchema)!)).toMatchObject({ crm: { version: 4 }, own: { version: 1 } });
    const rows = await tenants.withTenant(back.tenantId, async (tx) => (await tx.client.query('SELECT name, phone FROM people')).rows);
    expect(rows).toEqual([{ name: 'Eve', phone: null }]);
    await platform.admin.query('SET ROLE tenantry_owner');
    const found = (await objectsOf(platform.admin, [back.appSchema])).get(back.appSchema)!;
    await platform.admin.query('RESET ROLE');
    const expected = await platform.admin.query('SELECT objects FROM tenancy.blueprint_versions WHERE blueprint = $1 AND version = 4', [
      'crm',
    ]);
    const { 'table notes': _, 'sequence notes_id_seq': __, ...ofCrm } = found;
    expect(objectDifferences(expected.rows[0].objects, ofCrm)).toEqual([]);
    await dropPlace(platform.places, back);
  }, 60_000);

  it('are gone when they are dropped', async () => {
    for (const place of [shared, dedicated, isolated]) await dropPlace(platform.places, place);
    const { rows } = await platform.admin.query(
      `SELECT (SELECT count(*)::int FROM tenancy.app_ledger WHERE app_schema <> 'app_shared') AS ledger, (SELECT count(*)::int FROM app_shared.people) AS people`,
    );
    expect(rows).toEqual([{ ledger: 0, people: 1 }]);
  }, 30_000);
});
