import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type AppStep, appWork, changeApp } from './blueprint-script.js';
import { urlFor } from './login-secret.js';
import { BLUEPRINTS, placementFor } from './names.js';
import { inOneMessage } from './place-context.js';
import type { Placement } from './placement.js';
import { createPlace, dropPlace } from './provision-schema.js';
import { type Platform, startPlatform } from './spec/platform.js';

/** SQL that no parser has looked at: what is refused here is refused by PostgreSQL. */
let platform: Platform;
const mine = placementFor(randomUUID(), 'dedicated');
const other = placementFor(randomUUID(), 'dedicated');
const isolated = placementFor(randomUUID(), 'isolated');
const shared = { appSchema: 'app_shared', role: 'tenantry_shared', tenantId: null, server: 'default', database: 'tenantry' };

const whose = `tenant_id uuid NOT NULL DEFAULT current_setting('app.tenant_id')::uuid`;
const made = { tables: [{ name: 'contacts', hasTenant: true }], force: [], unforce: [], sequences: [], views: [] };
const nothing = { tables: [], force: [], unforce: [], sequences: [], views: [] };
const step = (version: number, statements: string[], stamp: AppStep['stamp'] = nothing): AppStep => ({
  ...{ blueprint: 'crm', version, checksum: 'c'.repeat(64), statements, stamp },
});
const create = `CREATE TABLE contacts (${whose}, id int, name text, PRIMARY KEY (tenant_id, id))`;

const twice = `CREATE FUNCTION twice(n int) RETURNS int LANGUAGE sql AS 'SELECT 2 * n'`;

type Target = Pick<Placement, 'server' | 'database' | 'appSchema' | 'role'> & { tenantId: string | null };
const change = (place: Target, steps: AppStep[], from: number) =>
  platform.places.app.run(place, (client) => inOneMessage(client, changeApp(place, steps, appWork(place, steps), from, null)));
const run = (place: Target, ...statements: string[]) =>
  platform.places.app.run(place, async (client) => {
    await client.query('BEGIN');
    try {
      await client.query('SELECT tenancy.run_app($1, $2, $3, telling => true)', [place.appSchema, place.tenantId, statements]);
      await client.query('COMMIT');
    } catch (error) {
      await client.query('ROLLBACK');
      throw error;
    }
  });
/** What PostgreSQL said of it: run_app passes that on as the detail. */
const answer = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'nothing was refused',
    (error: { message: string; detail?: string }) => error.detail ?? error.message,
  );

beforeAll(async () => {
  platform = await startPlatform();
  for (const place of [mine, other, isolated]) await createPlace(platform.places, place);
  for (const place of [mine, other, isolated, shared]) {
    await change(place, [step(1, [create, twice], made)], 0);
    const tenantId = place.tenantId ?? mine.tenantId;
    await change(place, [step(2, [`INSERT INTO contacts VALUES ('${tenantId}', 1, 'planted-4711')`])], 1).catch((error) => {
      // Rows of app_shared are nobody's without a context.
      if (place.tenantId !== null) throw error;
    });
  }
}, 90_000);
afterAll(() => platform.stop());

const refused =
  /permission denied|must be|Must be|cannot|Only roles|not allowed|reached for another|would run after its end|no privileges|not implemented/;

describe('SQL of the operator that nobody has examined', () => {
  const hostile: [what: string, sql: string][] = [
    ['the log', 'SELECT * FROM log.events'],
    ['placements', 'SELECT * FROM tenancy.placements'],
    ['its own ledger', 'DELETE FROM tenancy.app_ledger'],
    ['blueprints', 'SELECT sql FROM tenancy.blueprint_versions'],
    ['a service’s tables', 'SELECT * FROM provisioning.tenants'],
    ['the control plane’s shared rows', 'SELECT * FROM shared.config_settings'],
    ['the control plane’s rows of its tenant', `SELECT * FROM ${mine.schema}.config_settings`],
    ['the control plane’s rows of another tenant', `SELECT * FROM ${other.schema}.config_settings`],
    ['passwords', 'SELECT rolpassword FROM pg_authid'],
    ['its own role', 'ALTER ROLE tenantry_app_owner SUPERUSER'],
    ['its login', `ALTER ROLE tenantry_blueprints CREATEROLE`],
    ['new roles', 'CREATE ROLE intruder LOGIN'],
    ['memberships', 'GRANT tenantry_owner TO tenantry_blueprints'],
    ['a membership of itself', 'GRANT tenantry_app_owner TO tenantry_product'],
    ['SET ROLE', 'SET ROLE tenantry_owner'],
    ['SET ROLE to provisioning', 'SET LOCAL ROLE tenantry_provisioning'],
    ['SET ROLE to a tenant', `SET ROLE "${other.role}"`],
    ['RESET ROLE', 'RESET ROLE'],
    ['set_config of the role', `SELECT set_config('role', 'none', false)`],
    ['SET SESSION AUTHORIZATION', 'SET SESSION AUTHORIZATION tenantry_provisioning'],
    ['RESET SESSION AUTHORIZATION', 'RESET SESSION AUTHORIZATION'],
    ['DO with EXECUTE', `DO $$ BEGIN EXECUTE 'SET ' || 'ROLE tenantry_owner'; END $$`],
    [
      'a function that hides it',
      `CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $f$ BEGIN EXECUTE 'RESET ROLE'; END $f$; SELECT f()`,
    ],
    [
      'SECURITY DEFINER in a function of its own',
      `CREATE FUNCTION f() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) FROM tenancy.placements'; SELECT f()`,
    ],
    ['COMMIT', 'COMMIT'],
    ['ROLLBACK', 'ROLLBACK'],
    ['a new transaction', 'COMMIT; BEGIN; SELECT 1'],
    ['programs', `COPY (SELECT 1) TO PROGRAM 'true'`],
    ['files as tables', `COPY contacts (name) FROM '/etc/passwd'`],
    ['files as text', `SELECT pg_read_file('postgresql.conf')`],
    ['folders', `SELECT pg_ls_dir('.')`],
    ['files as large objects', `SELECT lo_import('/etc/passwd')`],
    ['extensions', 'CREATE EXTENSION dblink'],
    ['other servers', 'CREATE FOREIGN DATA WRAPPER w'],
    ['libraries', `LOAD 'dblink'`],
    ['functions in C', `CREATE FUNCTION f() RETURNS int LANGUAGE c AS 'libc', 'getpid'`],
    [
      'event triggers',
      `CREATE FUNCTION f() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'; CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION f()`,
    ],
    ['new schemas', 'CREATE SCHEMA mine'],
    ['the schema public', 'CREATE TABLE public.x ()'],
    ['temporary tables', 'CREATE TEMP TABLE x ()'],
    ['settings of the server', 'ALTER SYSTEM SET fsync = off'],
    ['settings of the database', 'ALTER DATABASE tenantry SET search_path = app_shared'],
    ['triggers of others', 'SET session_replication_role = replica'],
    ['publications', 'CREATE PUBLICATION p FOR ALL TABLES'],
    ['sessions of others', `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'tenantry_provisioning'`],
    ['owners', 'ALTER TABLE contacts OWNER TO tenantry_owner'],
    ['what keeps it', 'ALTER FUNCTION tenancy.run_app SECURITY INVOKER'],
    ['what takes schemas forward', `SELECT tenancy.change_app('${other.appSchema}', NULL, NULL, 'x', '[]', '{}')`],
    ['a cursor that outlives it', 'DECLARE c CURSOR WITH HOLD FOR SELECT 1'],
    ['rows of another tenant’s product', `SELECT * FROM ${other.appSchema}.contacts`],
    [
      'rows of another tenant’s product, in that tenant’s context',
      `SET app.tenant_id = '${other.tenantId}'; UPDATE ${other.appSchema}.contacts SET name = 'x'`,
    ],
    ['rows of shared tenants’ product', `SELECT * FROM app_shared.contacts`],
    ['tables of another tenant’s product', `DROP TABLE ${other.appSchema}.contacts`],
    ['a table in another tenant’s product', `CREATE TABLE ${other.appSchema}.x ()`],
    ['a function in another tenant’s product', `CREATE FUNCTION ${other.appSchema}.f() RETURNS int LANGUAGE sql AS 'SELECT 1'`],
    [
      'a function in another tenant’s product, out of a nested transaction',
      `DO $$ BEGIN BEGIN EXECUTE 'CREATE FUNCTION ${other.appSchema}.f() RETURNS int LANGUAGE sql AS ''SELECT 1'''; EXCEPTION WHEN division_by_zero THEN NULL; END; END $$`,
    ],
    ['a function of another tenant’s product', `ALTER FUNCTION ${other.appSchema}.twice(int) SECURITY DEFINER`],
    ['a function of another tenant’s product, to be gone', `DROP FUNCTION ${other.appSchema}.twice(int)`],
    ['an index in another tenant’s product', `CREATE INDEX ON ${other.appSchema}.contacts (id)`],
    ['everything that its role owns', 'DROP OWNED BY tenantry_app_owner'],
    ['what its role owns, for another', 'REASSIGN OWNED BY tenantry_app_owner TO tenantry_product'],
    ['rights on another tenant’s product', `GRANT SELECT ON ${other.appSchema}.contacts TO "${mine.role}"`],
  ];
  it.each(hostile)('does not reach: %s', async (_, sql) => {
    expect(await answer(run(mine, sql))).toMatch(refused);
  });

  it('has changed nothing by that', async () => {
    const { rows } = await platform.admin.query<{ name: string }>(`SELECT name FROM ${other.appSchema}.contacts`);
    expect(rows).toEqual([{ name: 'planted-4711' }]);
    expect((await platform.admin.query(`SELECT FROM pg_roles WHERE rolname = 'intruder'`)).rowCount).toBe(0);
  });

  it('reaches nobody else from an isolated tenant’s database', async () => {
    for (const sql of ['SELECT * FROM tenancy.tenant_gate', `SELECT * FROM ${isolated.schema}.config_settings`, 'CREATE SCHEMA mine'])
      expect(await answer(run(isolated, sql))).toMatch('permission denied');
  });

  it('can be stopped by nothing that it sets itself', async () => {
    const limited = platform.places.app.run(mine, async (client) => {
      await client.query(`BEGIN; SET LOCAL statement_timeout = '200ms'`);
      const slow = ['SET statement_timeout = 0', 'SET LOCAL statement_timeout = 0', 'SELECT pg_sleep(20)'];
      try {
        await client.query('SELECT tenancy.run_app($1, $2, $3)', [mine.appSchema, mine.tenantId, slow]);
      } finally {
        await client.query('ROLLBACK');
      }
    });
    expect(await answer(limited)).toBe('57014 in statement 3');
  });

  it('leaves nothing to those that use the session after it', async () => {
    const client = new pg.Client({ connectionString: platform.urlOf(BLUEPRINTS) });
    await client.connect();
    const { rows: clean } = await client.query(
      `SELECT current_setting('search_path') AS path, current_setting('statement_timeout') AS timeout`,
    );
    await client.end();
    await run(
      mine,
      `SET search_path = ${mine.appSchema}, pg_catalog; SET statement_timeout = 0; SELECT pg_advisory_lock(4711); PREPARE p AS SELECT 1`,
    );
    const seen = () =>
      platform.places.app.run(mine, (session) =>
        session.query(
          `SELECT current_setting('search_path') AS path, current_setting('statement_timeout') AS timeout,
           (SELECT count(*)::int FROM pg_prepared_statements) AS prepared, (SELECT count(*)::int FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711) AS locks`,
        ),
      );
    // It is cleaned after whoever used it has gone on.
    await vi.waitFor(async () => expect((await seen()).rows).toEqual([{ ...clean[0], prepared: 0, locks: 0 }]), 5_000);
  });

  it('waits for its turn for as long as others need', async () => {
    const pid = (client: pg.ClientBase) => client.query('SELECT pg_backend_pid() AS pid').then(({ rows }) => rows[0].pid as number);
    const over = Promise.withResolvers<void>();
    const held = new Set<number>();
    const holders = Array.from({ length: 12 }, () =>
      platform.places.app.run(mine, async (client) => {
        held.add(await pid(client));
        await over.promise;
      }),
    );
    await vi.waitFor(() => expect(held.size).toBe(12), 5_000);
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const next = platform.places.app.run(mine, pid).catch((error) => error.message);
    await vi.advanceTimersByTimeAsync(60_000);
    vi.useRealTimers();
    over.resolve();
    await Promise.all(holders);
    expect([...held]).toContain(await next);
  });
});

describe('the login of blueprints', () => {
  const session = (database: string) => new pg.Client({ connectionString: urlFor(platform.urlOf(BLUEPRINTS), database) });

  it.each([
    'SELECT * FROM log.events',
    'SELECT * FROM tenancy.placements',
    `SELECT * FROM ${mine.appSchema}.contacts`,
    'SET ROLE tenantry_app_owner',
    'SET ROLE tenantry_owner',
    'SET ROLE tenantry_bucket_0',
    'SET ROLE tenantry_shared',
    'CREATE ROLE intruder',
    'CREATE TABLE public.x ()',
    'CREATE TEMP TABLE x ()',
    "SELECT tenancy.take_role('x')",
    `SELECT tenancy.advance_app('${other.appSchema}', 'crm', 2, '{3}', '{x}')`,
    `SELECT tenancy.enter_tenant('${other.tenantId}', 1)`,
  ])('by itself may not: %s', async (sql) => {
    const client = session('tenantry');
    await client.connect();
    try {
      await expect(client.query(sql)).rejects.toThrow(/permission denied/);
    } finally {
      await client.end();
    }
  });

  it('is a member of nothing and owns nothing', async () => {
    const { rows } = await platform.admin.query(
      `SELECT (SELECT count(*)::int FROM pg_auth_members WHERE member = r.oid) AS memberships, (SELECT count(*)::int FROM pg_shdepend WHERE refobjid = r.oid AND deptype = 'o') AS owned,
         rolsuper, rolcreaterole, rolcreatedb, rolbypassrls, rolreplication FROM pg_roles r WHERE rolname = 'tenantry_blueprints'`,
    );
    expect(rows).toEqual([
      { memberships: 0, owned: 0, rolsuper: false, rolcreaterole: false, rolcreatedb: false, rolbypassrls: false, rolreplication: false },
    ]);
  });

  it('comes into no database without tenants', async () => {
    for (const database of ['postgres', 'template1'])
      await expect(session(database).connect()).rejects.toThrow('permission denied for database');
  });
});

describe('a schema that a version has changed', () => {
  const open = (sql: string, place: Target = mine, from = 2) => answer(change(place, [step(from + 1, [sql])], from));
  const branch = (sql: string) => `DO $$ BEGIN IF EXISTS (SELECT FROM contacts) THEN ${sql} END IF; END $$`;

  it.each<[what: string, sql: string, says: string]>([
    [
      'row-level security not forced',
      branch('ALTER TABLE contacts NO FORCE ROW LEVEL SECURITY;'),
      'contacts: row-level security is not forced',
    ],
    ['row-level security off', branch('ALTER TABLE contacts DISABLE ROW LEVEL SECURITY;'), 'contacts: row-level security is not forced'],
    ['no policy', branch('DROP POLICY tenant ON contacts;'), 'contacts: its policy is not the platform’s'],
    ['a second policy', branch('CREATE POLICY more ON contacts USING (true);'), 'contacts: its policy is not the platform’s'],
    [
      'another policy',
      branch('ALTER POLICY tenant ON contacts USING (tenant_id IS NOT NULL);'),
      'contacts: its policy is not the platform’s',
    ],
    ['a renamed tenant_id', branch('ALTER TABLE contacts RENAME tenant_id TO whose;'), 'contacts: its policy is not the platform’s'],
    ['a table that only it has', branch('CREATE TABLE extra (id int);'), 'extra: row-level security is not forced'],
    ['rights for everybody', branch('GRANT SELECT ON contacts TO PUBLIC;'), 'contacts: others than the tenant have rights'],
    ['rights on a column', branch('GRANT SELECT (id) ON contacts TO PUBLIC;'), 'contacts: others than the tenant have rights'],
    ['fewer rights', branch(`REVOKE DELETE ON contacts FROM "${mine.role}";`), 'contacts: the tenant lacks rights'],
    [
      'a function with its owner’s rights',
      `CREATE FUNCTION f() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'`,
      'f(): it would run',
    ],
    ['a function with settings', `CREATE FUNCTION f() RETURNS int LANGUAGE sql SET work_mem = '1GB' AS 'SELECT 1'`, 'f(): it would run'],
    [
      'what a deferred trigger does at the end',
      `CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN GRANT SELECT ON contacts TO PUBLIC; RETURN NULL; END $f$;
       CREATE CONSTRAINT TRIGGER t AFTER INSERT ON contacts INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION f();
       INSERT INTO contacts (id) VALUES (2)`,
      'contacts: others than the tenant have rights',
    ],
  ])('is put back where it would have: %s', async (_, sql, says) => {
    expect(await open(sql)).toContain(says);
    const { rows } = await platform.admin.query('SELECT max(version)::int AS version FROM tenancy.app_ledger WHERE app_schema = $1', [
      mine.appSchema,
    ]);
    expect(rows).toEqual([{ version: 2 }]);
  });

  it.each<[what: string, sql: string, says: string]>([
    ['a key of all tenants', 'CREATE UNIQUE INDEX ON contacts (id)', 'contacts: a unique key does not begin with tenant_id'],
    [
      'a foreign key past the tenant',
      'ALTER TABLE contacts ADD x uuid, ADD FOREIGN KEY (x, id) REFERENCES contacts NOT VALID',
      'contacts: a foreign key',
    ],
    ['a tenant_id that nobody must give', 'ALTER TABLE contacts ALTER tenant_id DROP DEFAULT', 'contacts: its column tenant_id'],
    ['rows without row-level security', 'CREATE MATERIALIZED VIEW m AS SELECT 1 AS one', 'm: it is no kind of relation'],
  ])('of all shared tenants is put back where it would have: %s', async (_, sql, says) => {
    const { rows } = await platform.admin.query(
      `SELECT max(version)::int AS version FROM tenancy.app_ledger WHERE app_schema = 'app_shared'`,
    );
    expect(await open(sql, shared, rows[0].version)).toContain(says);
  });

  it('is not changed by functions that look like PostgreSQL’s own', async () => {
    const shadow = (name: string, args: string, result: string) =>
      `CREATE FUNCTION ${name}(${args}) RETURNS ${result} LANGUAGE plpgsql AS $f$ BEGIN RAISE EXCEPTION 'shadow as %', current_user; END $f$`;
    const sql = [
      shadow('format', 'text, text', 'text'),
      shadow('cardinality', 'text[]', 'integer'),
      shadow('set_config', 'text, text, boolean', 'text'),
      shadow('array_to_string', 'text[], text', 'text'),
      "CREATE FUNCTION plus(integer, integer) RETURNS integer LANGUAGE plpgsql AS $f$ BEGIN RAISE EXCEPTION 'shadow as %', current_user; END $f$",
      'CREATE OPERATOR + (LEFTARG = integer, RIGHTARG = integer, FUNCTION = plus)',
      `SET search_path = ${mine.appSchema}, pg_catalog`,
    ];
    await change(mine, [step(3, sql)], 2);
    expect(await open('ALTER TABLE contacts NO FORCE ROW LEVEL SECURITY', mine, 3)).toContain('row-level security is not forced');
  });

  it.each<[what: string, sql: string, says: string]>([
    ['a unique key', 'INSERT INTO contacts (id, name) SELECT id, name FROM contacts', '23505 in statement 1'],
    ['a type', 'ALTER TABLE contacts ALTER name TYPE int USING name::int', '22P02 in statement 1'],
    ['a check', `ALTER TABLE contacts ADD CONSTRAINT short CHECK (length(name) < 3)`, '23514 in statement 1'],
    ['an error of its own', `DO $$ BEGIN RAISE EXCEPTION '%', (SELECT name FROM contacts); END $$`, 'P0001 in statement 1'],
    [
      'an error that looks like a missing table',
      `DO $$ BEGIN RAISE SQLSTATE '42P01' USING MESSAGE = (SELECT name FROM contacts), DETAIL = (SELECT name FROM contacts), HINT = (SELECT name FROM contacts); END $$`,
      '42P01 in statement 1',
    ],
    [
      'names that are none',
      `DO $$ BEGIN RAISE SQLSTATE '23505' USING TABLE = (SELECT name FROM contacts), COLUMN = (SELECT name FROM contacts),
         CONSTRAINT = (SELECT name FROM contacts), DATATYPE = (SELECT name FROM contacts), SCHEMA = (SELECT name FROM contacts); END $$`,
      '23505 in statement 1',
    ],
    [
      'an error that looks like a time-out',
      `DO $$ BEGIN RAISE SQLSTATE '57014' USING MESSAGE = (SELECT name FROM contacts); END $$`,
      '57014 in statement 1',
    ],
    ['an assertion', `DO $$ BEGIN ASSERT false, (SELECT name FROM contacts); END $$`, 'P0004 in statement 1'],
    [
      'an error that looks like the platform’s',
      `DO $$ BEGIN RAISE SQLSTATE 'TG007' USING MESSAGE = (SELECT name FROM contacts); END $$`,
      'TG007 in statement 1',
    ],
  ])('tells nothing of its rows where a statement fails on %s', async (_, sql, says) => {
    const error = await change(other, [step(3, [sql])], 2).then(
      () => null,
      (thrown: object) => thrown,
    );
    expect(error).toMatchObject({ code: 'TG006', message: says });
    expect(JSON.stringify(Object.getOwnPropertyNames(error).map((name) => [name, (error as Record<string, unknown>)[name]]))).not.toContain(
      'planted',
    );
  });

  it('names what the schema has', async () => {
    const sql = 'INSERT INTO contacts (id, name) SELECT id, name FROM contacts';
    await expect(change(other, [step(3, [sql])], 2)).rejects.toMatchObject({ table: 'contacts', constraint: 'contacts_pkey' });
  });

  it('goes with its tenant', async () => {
    for (const place of [mine, other, isolated]) await dropPlace(platform.places, place);
    expect((await platform.admin.query(`SELECT FROM pg_namespace WHERE nspname = $1`, [mine.appSchema])).rowCount).toBe(0);
  }, 30_000);
});
