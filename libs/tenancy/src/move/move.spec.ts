import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Isolation } from '@tenantry/contracts/values';
import { sql } from 'drizzle-orm';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { stampTables } from '../compile.js';
import { urlFor } from '../login-secret.js';
import { placementFor } from '../names.js';
import type { Placement } from '../placement.js';
import { PostgresTenants } from '../postgres-tenants.js';
import { createPlace, dropPlace } from '../provision-schema.js';
import { type Platform, startPlatform, testKeys } from '../spec/platform.js';
import { identifier, withNames } from '../sql.js';
import { closeGate } from './gate.js';
import { abandon, catchUp, copy, fence, finish, prepare, reopen, retire, switchBack, switchOver, thin, verify } from './move.js';
import type { Move } from './side.js';

const product = `
  CREATE TYPE mood AS ENUM ('glad', 'sad');
  CREATE TABLE people (tenant_id uuid NOT NULL DEFAULT current_setting('app.tenant_id')::uuid, id bigint NOT NULL, name text NOT NULL,
    feels mood NOT NULL DEFAULT 'glad', born timestamptz, picture bytea, tags text[], notes jsonb, size numeric,
    shout text GENERATED ALWAYS AS (upper(name)) STORED, PRIMARY KEY (tenant_id, id), UNIQUE (tenant_id, name));
  CREATE TABLE orders (tenant_id uuid NOT NULL DEFAULT current_setting('app.tenant_id')::uuid, id bigint NOT NULL, person bigint NOT NULL,
    amount int NOT NULL, PRIMARY KEY (tenant_id, id), FOREIGN KEY (tenant_id, person) REFERENCES people (tenant_id, id) ON DELETE CASCADE);
  CREATE INDEX orders_by_person ON orders (tenant_id, person);`;
/** What only a schema of the tenant's own may hold. */
const ownOnly = `
  CREATE TABLE numbered (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, parent int REFERENCES numbered, at text NOT NULL DEFAULT 'x');
  CREATE TABLE keyless (word text);
  CREATE SEQUENCE tickets START 5;
  CREATE VIEW rich AS SELECT p.name, sum(o.amount) AS total FROM people p JOIN orders o ON o.person = p.id GROUP BY p.name;
  CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.at := NEW.at || ''!''; RETURN NEW; END';
  CREATE TRIGGER touched BEFORE INSERT ON numbered FOR EACH ROW EXECUTE FUNCTION touch();
  CREATE TRIGGER off BEFORE INSERT ON numbered FOR EACH ROW EXECUTE FUNCTION touch();
  CREATE TRIGGER always BEFORE UPDATE ON numbered FOR EACH ROW EXECUTE FUNCTION touch();
  CREATE TRIGGER replica BEFORE UPDATE ON numbered FOR EACH ROW EXECUTE FUNCTION touch();
  ALTER TABLE numbered DISABLE TRIGGER off, ENABLE ALWAYS TRIGGER always, ENABLE REPLICA TRIGGER replica;
  GRANT SELECT, INSERT, UPDATE, DELETE ON numbered, keyless TO :"role"; GRANT SELECT ON rich TO :"role"; GRANT USAGE ON tickets TO :"role";`;

describe('a move', () => {
  let platform: Platform;
  let pool: pg.Pool;
  let tenants: PostgresTenants;
  beforeAll(async () => {
    platform = await startPlatform();
    const url = platform.urlOf('billing');
    pool = new pg.Pool({ connectionString: url, max: 6 });
    tenants = new PostgresTenants({ pool, url, keys: testKeys });
    await install('app_shared', 'tenantry_shared', 'tenantry', product);
  }, 60_000);
  afterAll(async () => {
    await tenants.close();
    await pool.end();
    await platform.stop();
  });

  const install = async (schema: string, role: string, database: string, ddl: string) => {
    const client = new pg.Client({ connectionString: urlFor(platform.server.url, database) });
    await client.connect();
    try {
      await client.query(
        `BEGIN; SET LOCAL ROLE tenantry_owner; SET LOCAL search_path = ${identifier(schema)}; ${withNames(ddl, { role })}
         ${withNames(stampTables(['people', 'orders']), { role })} COMMIT`,
      );
    } finally {
      await client.end();
    }
  };
  const inDatabase = async (database: string, text: string) => {
    const client = new pg.Client({ connectionString: urlFor(platform.server.url, database) });
    await client.connect();
    try {
      return await client.query(text);
    } finally {
      await client.end();
    }
  };
  const versionsIn = async (database: string, schema: string) =>
    (await inDatabase(database, `SELECT blueprint, version FROM tenancy.app_ledger WHERE app_schema = '${schema}'`)).rows;
  const placed = async (isolation: Isolation, ddl = product): Promise<Placement> => {
    const placement = placementFor(randomUUID(), isolation);
    await createPlace(platform.places, placement);
    if (isolation !== 'shared') await install(placement.appSchema, placement.role, placement.database, ddl);
    return { ...placement, ready: true };
  };
  const to = (from: Placement, isolation: Isolation): Move => ({
    from,
    to: { ...placementFor(from.tenantId, isolation, { generation: from.generation + 1 }), ready: true },
  });
  const run = (tenantId: string, text: ReturnType<typeof sql>) =>
    tenants.withTenant(tenantId, async ({ db }) => (await db.execute(text)).rows);
  const addPeople = (tenantId: string, first: number, many: number) =>
    run(
      tenantId,
      sql`INSERT INTO people (id, name, feels, born, picture, tags, notes, size)
          SELECT n, 'p' || n, CASE WHEN n % 2 = 0 THEN 'glad' ELSE 'sad' END::mood, '2020-01-01T00:00:00.123456Z'::timestamptz + n * interval '1 hour',
            decode(md5(n::text), 'hex'), ARRAY['a "quoted", one', NULL, n::text], jsonb_build_object('n', n, 'big', 9007199254740993), n / 3.0
          FROM generate_series(${first}::bigint, ${first + many - 1}::bigint) n`,
    );
  const content = (tenantId: string) =>
    run(tenantId, sql`SELECT p::text AS line FROM people p UNION ALL SELECT o::text FROM orders o ORDER BY 1`);
  const through = async (move: Move): Promise<Placement> => {
    const prepared = await prepare(platform.places, move);
    await copy(platform.places, move);
    await catchUp(platform.places, move);
    await fence(platform.places, move);
    await verify(platform.places, move);
    await switchOver(platform.places, move, prepared);
    await finish(platform.places, move);
    return move.to;
  };
  /** Writes all the time; what it was told is there, and how long each took. */
  const writer = (tenantId: string) => {
    let going = true;
    const done = { orders: new Map<number, number>(), gone: new Set<number>(), longestMs: 0, errors: [] as unknown[] };
    const loop = async (lane: number) => {
      for (let n = 0; going; n++) {
        const begun = performance.now();
        const id = lane * 1_000_000 + n;
        try {
          await run(tenantId, sql`INSERT INTO orders (id, person, amount) VALUES (${id}, ${1 + (n % 50)}, 1)`);
          done.orders.set(id, 1);
          if (n % 3 === 0) {
            await run(tenantId, sql`UPDATE orders SET amount = amount + 1 WHERE id = ${id}`);
            done.orders.set(id, 2);
          }
          if (n % 7 === 0) {
            await run(tenantId, sql`DELETE FROM orders WHERE id = ${id}`);
            done.orders.delete(id);
          }
        } catch (error) {
          done.errors.push(error);
        }
        done.longestMs = Math.max(done.longestMs, performance.now() - begun);
        await sleep(5);
      }
    };
    const lanes = [1, 2, 3].map(loop);
    return {
      done,
      stop: async () => {
        going = false;
        await Promise.all(lanes);
      },
    };
  };
  const orders = async (tenantId: string) =>
    new Map(
      (await run(tenantId, sql`SELECT id::int AS id, amount FROM orders`)).map((row) => [row['id'] as number, row['amount'] as number]),
    );

  it('takes everything to every other level, while the tenant is written to, and loses and doubles nothing', async () => {
    let place = await placed('dedicated');
    const { tenantId } = place;
    await addPeople(tenantId, 1, 3_000);
    const bystander = await placed('shared');
    await addPeople(bystander.tenantId, 1, 10);
    const before = await content(bystander.tenantId);
    const work = writer(tenantId);
    const people = await run(tenantId, sql`SELECT p::text AS line FROM people p ORDER BY id`);
    for (const level of ['isolated', 'shared', 'dedicated', 'shared', 'isolated', 'dedicated'] as const) {
      const move = to(place, level);
      place = await through(move);
      await sleep(100);
      await retire(platform.places, move);
      expect(await tenants.placement(tenantId, { fresh: true })).toMatchObject({ isolation: level, generation: place.generation });
      expect(await run(tenantId, sql`SELECT p::text AS line FROM people p ORDER BY id`)).toEqual(people);
    }
    await work.stop();
    console.info(`longest wait of the writer: ${Math.round(work.done.longestMs)} ms, ${work.done.orders.size} orders`);
    expect(work.done.errors).toEqual([]);
    expect(await orders(tenantId)).toEqual(work.done.orders);
    expect(await content(bystander.tenantId)).toEqual(before);
    const { rows } = await platform.admin.query(
      `SELECT (SELECT count(*)::int FROM pg_class WHERE relname LIKE 'changes\\_%') AS notes, (SELECT count(*)::int FROM pg_proc WHERE proname LIKE 'note\\_%') AS functions,
        (SELECT count(*)::int FROM pg_trigger WHERE tgname LIKE 'tenantry\\_moving%') AS triggers,
        (SELECT count(*)::int FROM pg_database WHERE datname LIKE 'tenantry\\_t\\_%') AS databases,
        (SELECT rolcanlogin FROM pg_roles WHERE rolname = $1) AS login, (SELECT count(*)::int FROM app_shared.people) AS shared`,
      [place.role],
    );
    expect(rows[0]).toEqual({ notes: 0, functions: 0, triggers: 0, databases: 0, login: false, shared: 10 });
  }, 120_000);

  it('goes back with what was written at the target, and may begin again', async () => {
    const source = await placed('dedicated');
    const { tenantId } = source;
    await addPeople(tenantId, 1, 200);
    const work = writer(tenantId);
    const move = to(source, 'isolated');
    await through(move);
    await sleep(200);
    const back = await switchBack(platform.places, move);
    expect(back).toMatchObject({ isolation: 'dedicated', generation: 3 });
    expect(await switchBack(platform.places, move)).toMatchObject({ generation: 3 });
    await abandon(platform.places, move);
    await abandon(platform.places, move);
    const again = to(back!, 'shared');
    await through(again);
    await sleep(100);
    await retire(platform.places, again);
    await work.stop();
    expect(work.done.errors).toEqual([]);
    expect(await orders(tenantId)).toEqual(work.done.orders);
  }, 60_000);

  it('is undone from any step, and each step may be repeated', async () => {
    for (const [from, level] of [
      ['dedicated', 'isolated'],
      ['shared', 'dedicated'],
      ['dedicated', 'shared'],
    ] as const) {
      const source = await placed(from);
      const { tenantId } = source;
      await addPeople(tenantId, 1, 20);
      await run(tenantId, sql`INSERT INTO orders (id, person, amount) VALUES (1, 1, 1)`);
      const before = await content(tenantId);
      const move = to(source, level);
      let prepared = { structure: '' };
      const steps = [
        async () => {
          prepared = await prepare(platform.places, move);
        },
        () => copy(platform.places, move),
        () => catchUp(platform.places, move),
        () => fence(platform.places, move),
        () => verify(platform.places, move),
      ];
      for (const until of from === 'shared' ? [1, 3, 5] : [2, 4]) {
        for (const step of steps.slice(0, until)) {
          await step();
          await step();
        }
        expect(await switchBack(platform.places, move)).toBeNull();
        await reopen(platform.places, move);
        await abandon(platform.places, move);
        expect(await content(tenantId)).toEqual(before);
      }
      await through(move);
      await switchOver(platform.places, move, prepared);
      await retire(platform.places, move);
      await retire(platform.places, move);
      expect(await content(tenantId)).toEqual(before);
    }
  }, 120_000);

  it('takes foreign keys along that rows of before may break', async () => {
    const source = await placed('dedicated');
    const { tenantId } = source;
    await addPeople(tenantId, 1, 1);
    const orders = `"${source.appSchema}".orders`;
    const asTenant = `BEGIN; SET LOCAL app.tenant_id = '${tenantId}'; SET LOCAL session_replication_role = replica`;
    await platform.admin.query(`${asTenant}; INSERT INTO ${orders} (id, person, amount) VALUES (1, 99, 1); COMMIT`);
    await platform.admin.query(
      `ALTER TABLE ${orders} DROP CONSTRAINT orders_tenant_id_person_fkey;
       ALTER TABLE ${orders} ADD CONSTRAINT known FOREIGN KEY (tenant_id, person) REFERENCES "${source.appSchema}".people (tenant_id, id) NOT VALID`,
    );
    const move = to(source, 'isolated');
    await through(move);
    await expect(run(tenantId, sql`INSERT INTO orders (id, person, amount) VALUES (2, 99, 1)`)).rejects.toThrow();
    expect(await switchBack(platform.places, move)).toMatchObject({ isolation: 'dedicated' });
    await expect(run(tenantId, sql`INSERT INTO orders (id, person, amount) VALUES (2, 99, 1)`)).rejects.toThrow();
    expect(await run(tenantId, sql`SELECT id::int AS id FROM orders`)).toEqual([{ id: 1 }]);
  }, 60_000);

  it('goes back with what a campaign has changed meanwhile, in a place that is made anew', async () => {
    const source = await placed('dedicated');
    const { tenantId, appSchema } = source;
    const people = `"${appSchema}".people`;
    const oid = async () => (await platform.admin.query<{ oid: number }>(`SELECT $1::regclass::oid AS oid`, [people])).rows[0]!.oid;
    await addPeople(tenantId, 1, 20);
    const first = await oid();
    const move = to(source, 'isolated');
    await through(move);
    const same = (await switchBack(platform.places, move))!;
    expect(await oid()).toBe(first);
    await abandon(platform.places, move);
    const again = to(same, 'isolated');
    await through(again);
    await inDatabase(
      again.to.database,
      `SET ROLE tenantry_owner; ALTER TABLE ${people} ADD COLUMN late int; CREATE TABLE "${appSchema}".extra (id int PRIMARY KEY);
      GRANT SELECT, INSERT ON "${appSchema}".extra TO "${again.to.role}"`,
    );
    await run(tenantId, sql`UPDATE people SET late = id * 2`);
    await run(tenantId, sql`INSERT INTO extra VALUES (1)`);
    await inDatabase(
      again.to.database,
      `INSERT INTO tenancy.app_ledger (app_schema, blueprint, version, checksum) VALUES ('${appSchema}', 'shop', 2, repeat('a', 64))`,
    );
    const back = await switchBack(platform.places, again);
    expect(back).toMatchObject({ isolation: 'dedicated' });
    expect(await run(tenantId, sql`SELECT sum(late)::int AS late FROM people`)).toEqual([{ late: 420 }]);
    expect(await run(tenantId, sql`SELECT id FROM extra`)).toEqual([{ id: 1 }]);
    expect(await versionsIn('tenantry', appSchema)).toEqual([{ blueprint: 'shop', version: 2 }]);
    await abandon(platform.places, again);
    expect(await run(tenantId, sql`SELECT count(*)::int AS n FROM people`)).toEqual([{ n: 20 }]);
  }, 60_000);

  it('goes on, and back, after an upgrade to this release', async () => {
    const source = await placed('dedicated');
    const { tenantId } = source;
    const asBefore = (database: string) =>
      inDatabase(
        database,
        `DROP FUNCTION tenancy.run_app, tenancy.change_app, tenancy.app_faults; DELETE FROM tenancy.migrations WHERE file LIKE '0061%'`,
      );
    await addPeople(tenantId, 1, 3);
    const away = to(source, 'isolated');
    const prepared = await prepare(platform.places, away);
    await copy(platform.places, away);
    await catchUp(platform.places, away);
    await fence(platform.places, away);
    await run(tenantId, sql`UPDATE people SET size = 1 WHERE id = 1`);
    await asBefore(away.to.database);
    await switchOver(platform.places, away, prepared);
    await retire(platform.places, away);

    const home = to(away.to, 'dedicated');
    await through(home);
    await run(tenantId, sql`UPDATE people SET size = 2 WHERE id = 2`);
    await asBefore(away.to.database);
    expect(await switchBack(platform.places, home)).toMatchObject({ isolation: 'isolated' });
    expect(await run(tenantId, sql`SELECT size::int AS size FROM people WHERE id < 3 ORDER BY id`)).toEqual([{ size: 1 }, { size: 2 }]);
    await abandon(platform.places, home);
  }, 60_000);

  it('gives the copy the versions whose rows it has before anybody comes in', async () => {
    const source = await placed('dedicated');
    const move = to(source, 'isolated');
    const prepared = await prepare(platform.places, move);
    await copy(platform.places, move);
    await inDatabase(
      'tenantry',
      `INSERT INTO tenancy.app_ledger (app_schema, blueprint, version, checksum) VALUES ('${source.appSchema}', 'shop', 1, repeat('a', 64))`,
    );
    await catchUp(platform.places, move);
    await fence(platform.places, move);
    const at = async (moment: string) => {
      if (moment === 'left') expect(await versionsIn(move.to.database, source.appSchema)).toEqual([{ blueprint: 'shop', version: 1 }]);
    };
    await switchOver(platform.places, move, prepared, { at });
    await retire(platform.places, move);
  }, 60_000);

  it('loses no rows that hang on others where a switch is tried again after it had come far', async () => {
    const source = await placed('dedicated');
    const { tenantId } = source;
    await addPeople(tenantId, 1, 3);
    await run(tenantId, sql`INSERT INTO orders (id, person, amount) VALUES (1, 1, 1)`);
    const move = to(source, 'isolated');
    const prepared = await prepare(platform.places, move);
    await copy(platform.places, move);
    await catchUp(platform.places, move);
    await fence(platform.places, move);
    await verify(platform.places, move);
    let tries = 0;
    let written: Promise<unknown> = Promise.resolve();
    const at = async (moment: string) => {
      if (moment !== 'closed' || ++tries > 1) return;
      written = run(tenantId, sql`UPDATE people SET size = 7 WHERE id = 1`);
      await sleep(500);
    };
    const { attempts, closedMs } = await switchOver(platform.places, move, prepared, { at, budgetMs: 400 });
    await written;
    expect(attempts).toMatchObject([{ why: expect.stringMatching(/took/) }]);
    expect(closedMs).toBeLessThan(400);
    expect(await run(tenantId, sql`SELECT size::int AS size FROM people WHERE id = 1`)).toEqual([{ size: 7 }]);
    await retire(platform.places, move);
    expect(await orders(tenantId)).toEqual(new Map([[1, 1]]));
  }, 60_000);

  it('touches nothing where the tenant lives by now, or may live in a moment, whoever comes late', async () => {
    const source = await placed('dedicated');
    const { tenantId } = source;
    await addPeople(tenantId, 1, 3);
    const move = to(source, 'isolated');
    const prepared = await prepare(platform.places, move);
    await copy(platform.places, move);
    await catchUp(platform.places, move);
    await fence(platform.places, move);
    await verify(platform.places, move);
    const tooLate = { at: () => sleep(500), budgetMs: 400, tries: 1 };
    await expect(switchOver(platform.places, move, prepared, tooLate)).rejects.toMatchObject({ code: 'placement.not_caught_up' });
    const keys = async () =>
      (
        await inDatabase(
          move.to.database,
          `SELECT conname FROM pg_constraint WHERE contype = 'f' AND connamespace = '${source.appSchema}'::regnamespace`,
        )
      ).rowCount;
    expect(await keys()).toBe(1);
    // Somebody whose commit is on its way holds it: the target may be in use at any moment.
    await platform.admin.query('SELECT pg_advisory_lock(tenancy.tenant_lock($1))', [tenantId]);
    await expect(switchOver(platform.places, move, prepared, { tries: 1 })).rejects.toMatchObject({ code: 'placement.not_caught_up' });
    await platform.admin.query('SELECT pg_advisory_unlock(tenancy.tenant_lock($1))', [tenantId]);
    expect(await keys()).toBe(1);

    await switchOver(platform.places, move, prepared);
    await run(tenantId, sql`UPDATE people SET size = 7 WHERE id = 1`);
    for (const late of [prepare, copy, catchUp, verify])
      await expect(late(platform.places, move), late.name).rejects.toThrow('has no gate of generation 1');
    expect(await run(tenantId, sql`SELECT size::int AS size FROM people WHERE id = 1`)).toEqual([{ size: 7 }]);
    await retire(platform.places, move);
  }, 60_000);

  it('is given up, with the gate open, where it would be closed for too long at every try', async () => {
    const source = await placed('dedicated');
    const move = to(source, 'isolated');
    const prepared = await prepare(platform.places, move);
    await copy(platform.places, move);
    await catchUp(platform.places, move);
    await fence(platform.places, move);
    const at = () => sleep(150);
    await expect(switchOver(platform.places, move, prepared, { at, budgetMs: 100, tries: 2 })).rejects.toMatchObject({
      code: 'placement.not_caught_up',
    });
    expect(await run(source.tenantId, sql`SELECT count(*)::int AS n FROM people`)).toEqual([{ n: 0 }]);
    await reopen(platform.places, move);
    await abandon(platform.places, move);
  }, 60_000);

  it('opens the gate by itself, or finds where the tenant lives, whenever the process dies behind it', async () => {
    for (const [from, level, moments] of [
      ['dedicated', 'isolated', ['closed']],
      ['isolated', 'dedicated', ['closed', 'left', 'placed']],
      ['shared', 'dedicated', ['left']],
    ] as const)
      for (const moment of moments) {
        const source = await placed(from);
        const { tenantId } = source;
        await addPeople(tenantId, 1, 3);
        const move = to(source, level);
        const prepared = await prepare(platform.places, move);
        await copy(platform.places, move);
        await catchUp(platform.places, move);
        await fence(platform.places, move);
        await verify(platform.places, move);
        const ending = new AbortController();
        const at = async (now: string) => {
          if (now === moment) ending.abort(new Error('died'));
        };
        const dying = switchOver({ ...platform.places, signal: ending.signal }, move, prepared, { at });
        await Promise.allSettled([dying]);
        expect(ending.signal.aborted).toBe(true);
        const begun = performance.now();
        await run(tenantId, sql`UPDATE people SET size = coalesce(size, 0) + 1 WHERE id = 1`);
        expect(performance.now() - begun).toBeLessThan(2_000);
        // Whoever takes the move up goes on from there.
        await switchOver(platform.places, move, prepared);
        await finish(platform.places, move);
        await run(tenantId, sql`UPDATE people SET size = coalesce(size, 0) + 1 WHERE id = 1`);
        await retire(platform.places, move);
        expect(await run(tenantId, sql`SELECT size::int AS size FROM people ORDER BY id LIMIT 1`)).toEqual([{ size: 2 }]);
      }
  }, 120_000);

  it('takes over what changed hands into shared tables, where others point to it', async () => {
    const source = await placed('dedicated');
    const { tenantId } = source;
    await addPeople(tenantId, 1, 4);
    await run(tenantId, sql`INSERT INTO orders (id, person, amount) SELECT n, n, n FROM generate_series(1, 4) n`);
    const move = to(source, 'shared');
    const prepared = await prepare(platform.places, move);
    await copy(platform.places, move);
    await run(tenantId, sql`UPDATE people SET name = 'x' WHERE id = 1`);
    await run(tenantId, sql`UPDATE people SET name = 'p1' WHERE id = 2`);
    await run(tenantId, sql`UPDATE people SET name = 'p2' WHERE id = 1`);
    await run(tenantId, sql`UPDATE orders SET person = 4 WHERE person = 3`);
    await run(tenantId, sql`DELETE FROM people WHERE id = 3`);
    await run(tenantId, sql`INSERT INTO people (id, name) VALUES (5, 'p3')`);
    const before = await content(tenantId);
    await catchUp(platform.places, move);
    await fence(platform.places, move);
    await verify(platform.places, move);
    await switchOver(platform.places, move, prepared);
    await retire(platform.places, move);
    expect(await content(tenantId)).toEqual(before);
  }, 60_000);

  it('keeps no more notes of a row than one while the source is kept', async () => {
    const source = await placed('dedicated');
    const { tenantId } = source;
    await addPeople(tenantId, 1, 3);
    const move = to(source, 'isolated');
    await through(move);
    for (let n = 0; n < 5; n++) await run(tenantId, sql`UPDATE people SET size = ${n} WHERE id < 3`);
    const notes = async () =>
      (await inDatabase(move.to.database, `SELECT count(*)::int AS n FROM tenancy.changes_${tenantId.replaceAll('-', '')}_2`)).rows;
    expect(await notes()).toEqual([{ n: 10 }]);
    await thin(platform.places, move);
    expect(await notes()).toEqual([{ n: 2 }]);
    expect(await switchBack(platform.places, move)).toMatchObject({ isolation: 'dedicated' });
    expect(await run(tenantId, sql`SELECT size::int AS size FROM people WHERE id < 3`)).toEqual([{ size: 4 }, { size: 4 }]);
    await abandon(platform.places, move);
  }, 60_000);

  it('catches up with a row that is always changed, however quickly its notes are taken', async () => {
    const source = await placed('dedicated');
    const { tenantId } = source;
    await addPeople(tenantId, 1, 3);
    const move = to(source, 'isolated');
    await prepare(platform.places, move);
    await copy(platform.places, move);
    const notes = `tenancy.changes_${tenantId.replaceAll('-', '')}_1`;
    await platform.admin.query(
      `INSERT INTO ${notes} (name, key) SELECT 'people', jsonb_build_object('tenant_id', '${tenantId}', 'id', 1) FROM generate_series(1, 30000)`,
    );
    expect(await catchUp(platform.places, move)).toMatchObject({ passes: 7 });
    expect((await platform.admin.query(`SELECT FROM ${notes}`)).rowCount).toBe(0);
    await abandon(platform.places, move);
  }, 60_000);

  it('removes rows of shared tables whose foreign keys lead to newer tables', async () => {
    const key = "tenant_id uuid NOT NULL DEFAULT current_setting('app.tenant_id')::uuid, id bigint NOT NULL, PRIMARY KEY (tenant_id, id)";
    await inDatabase(
      'tenantry',
      `SET ROLE tenantry_owner; SET search_path = app_shared; CREATE TABLE older (${key}); CREATE TABLE newer (${key});
       ALTER TABLE older ADD FOREIGN KEY (tenant_id, id) REFERENCES newer (tenant_id, id);
       ${withNames(stampTables(['older', 'newer']), { role: 'tenantry_shared' })}`,
    );
    const [moved, erased] = [await placed('shared'), await placed('shared')];
    for (const { tenantId } of [moved, erased]) {
      await run(tenantId, sql`INSERT INTO newer (id) VALUES (1)`);
      await run(tenantId, sql`INSERT INTO older (id) VALUES (1)`);
    }
    const move = to(moved, 'dedicated');
    await through(move);
    await retire(platform.places, move);
    expect(await run(moved.tenantId, sql`SELECT id::int AS id FROM older`)).toEqual([{ id: 1 }]);
    await dropPlace(platform.places, erased);
    const { rows } = await inDatabase(
      'tenantry',
      'SELECT (SELECT count(*)::int FROM app_shared.older) AS older, (SELECT count(*)::int FROM app_shared.newer) AS newer',
    );
    expect(rows).toEqual([{ older: 0, newer: 0 }]);
    await inDatabase('tenantry', 'DROP TABLE app_shared.older, app_shared.newer');
  }, 60_000);

  it('compares each row that it takes over, so that large tables need no look while everybody waits', async () => {
    const source = await placed('dedicated');
    const { tenantId, appSchema } = source;
    await addPeople(tenantId, 1, 3);
    const move = to(source, 'isolated');
    const prepared = await prepare(platform.places, move);
    await copy(platform.places, move);
    await catchUp(platform.places, move);
    await inDatabase(move.to.database, `CREATE RULE lost AS ON INSERT TO "${appSchema}".people DO INSTEAD NOTHING`);
    await run(tenantId, sql`UPDATE people SET size = 7 WHERE id = 1`);
    await expect(switchOver(platform.places, move, prepared)).rejects.toMatchObject({ code: 'placement.copy_differs' });
    await abandon(platform.places, move);
    expect(await run(tenantId, sql`SELECT count(*)::int AS n FROM people`)).toEqual([{ n: 3 }]);
  }, 60_000);

  it('holds few large rows at a time, wherever in a table they are', async () => {
    const source = await placed('dedicated');
    const { tenantId } = source;
    await addPeople(tenantId, 1, 2_000);
    await run(
      tenantId,
      sql`INSERT INTO people (id, name, picture) SELECT n, 'large ' || n, decode((SELECT string_agg(md5((n * i)::text), '') FROM generate_series(1, 100000) i), 'hex')
          FROM generate_series(3001, 3012) n`,
    );
    const move = to(source, 'isolated');
    await prepare(platform.places, move);
    const query = vi.spyOn(pg.Client.prototype, 'query');
    await copy(platform.places, move);
    const texts = query.mock.calls.map(([text]) => String(text));
    query.mockRestore();
    const large = texts.slice(texts.findIndex((text) => text.startsWith('DECLARE moving') && text.includes('>')));
    expect(large.find((text) => text.startsWith('FETCH'))).toMatch(/^FETCH (1\d|2\d) FROM moving$/);
    const rows = await inDatabase(move.to.database, `SELECT count(*)::int AS n FROM "${source.appSchema}".people`);
    expect(rows.rows).toEqual([{ n: 2_012 }]);
    await abandon(platform.places, move);
  }, 60_000);

  it('never removes the place where the tenant lives, nor opens a second gate', async () => {
    const source = await placed('dedicated');
    const { tenantId } = source;
    await addPeople(tenantId, 1, 3);
    const move = to(source, 'isolated');
    await expect(retire(platform.places, move)).rejects.toThrow('is not removed');
    await through(move);
    await expect(abandon(platform.places, move)).rejects.toThrow('is not removed');
    await reopen(platform.places, move);
    const gates = 'SELECT state FROM tenancy.tenant_gate WHERE tenant_id = $1';
    expect((await platform.admin.query(gates, [tenantId])).rows).toEqual([{ state: 'closed' }]);
    expect(await run(tenantId, sql`SELECT count(*)::int AS n FROM people`)).toEqual([{ n: 3 }]);
    await expect(closeGate(platform.admin, { ...source, generation: 7 }, 1_000)).rejects.toThrow('keeps nobody out');
    await retire(platform.places, move);
  }, 60_000);

  it('makes whatever a schema of the own holds again: keys, sequences, views, functions, triggers, rights', async () => {
    const source = await placed('dedicated', `${product} ${ownOnly}`);
    const { tenantId } = source;
    await addPeople(tenantId, 1, 3);
    await run(tenantId, sql`INSERT INTO numbered (parent, at) VALUES (NULL, 'a'), (1, 'b')`);
    await run(tenantId, sql`INSERT INTO keyless VALUES ('same'), ('same')`);
    await run(tenantId, sql`SELECT nextval('tickets'), nextval('tickets')`);
    const move = to(source, 'isolated');
    const prepared = await prepare(platform.places, move);
    await copy(platform.places, move);
    await run(tenantId, sql`INSERT INTO keyless VALUES ('late')`);
    await run(tenantId, sql`UPDATE people SET id = 30 WHERE id = 3`);
    await catchUp(platform.places, move);
    await fence(platform.places, move);
    await verify(platform.places, move);
    await switchOver(platform.places, move, prepared);
    await finish(platform.places, move);
    await retire(platform.places, move);
    expect(await run(tenantId, sql`SELECT word FROM keyless ORDER BY 1`)).toEqual([{ word: 'late' }, { word: 'same' }, { word: 'same' }]);
    expect(await run(tenantId, sql`SELECT id FROM people ORDER BY id`)).toEqual([{ id: '1' }, { id: '2' }, { id: '30' }]);
    expect(await run(tenantId, sql`SELECT nextval('tickets') AS n`)).toEqual([{ n: '7' }]);
    expect(await run(tenantId, sql`INSERT INTO numbered (parent, at) VALUES (2, 'c') RETURNING id, at`)).toEqual([{ id: 3, at: 'c!' }]);
    const states = await inDatabase(
      move.to.database,
      `SELECT string_agg(tgname || ' ' || tgenabled::text, ', ' ORDER BY tgname) AS states FROM pg_trigger
       WHERE tgrelid = '"${source.appSchema}".numbered'::regclass AND NOT tgisinternal`,
    );
    expect(states.rows).toEqual([{ states: 'always A, off D, replica R, touched O' }]);
    expect(await run(tenantId, sql`SELECT at FROM numbered ORDER BY id`)).toEqual([{ at: 'a!' }, { at: 'b!' }, { at: 'c!' }]);
    expect(await run(tenantId, sql`SELECT * FROM rich`)).toEqual([]);
    await expect(run(tenantId, sql`INSERT INTO numbered (parent) VALUES (99)`)).rejects.toThrow();
    await expect(prepare(platform.places, to(move.to, 'shared'))).rejects.toMatchObject({ code: 'placement.not_movable' });
  }, 60_000);

  it('computes with the rights of the product’s owner, whatever its functions try', async () => {
    const source = await placed('dedicated');
    const { tenantId } = source;
    const ddl = `
      CREATE FUNCTION who(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN current_user; END';
      CREATE FUNCTION rise(text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS
        'BEGIN EXECUTE ''RESET ROLE''; RETURN true; EXCEPTION WHEN OTHERS THEN RETURN true; END';
      CREATE TABLE deeds (tenant_id uuid NOT NULL DEFAULT current_setting('app.tenant_id')::uuid, id int NOT NULL, text text,
        owner text GENERATED ALWAYS AS (who(text)) STORED, CHECK (rise(text)), PRIMARY KEY (tenant_id, id));
      CREATE INDEX deeds_of ON deeds (who(text));`;
    await inDatabase(
      'tenantry',
      `BEGIN; GRANT USAGE, CREATE ON SCHEMA "${source.appSchema}" TO tenantry_app_owner; SET LOCAL ROLE tenantry_app_owner;
       SET LOCAL search_path = "${source.appSchema}"; ${ddl} ${withNames(stampTables(['deeds']), { role: source.role })} COMMIT`,
    );
    await run(tenantId, sql`INSERT INTO deeds (id, text) VALUES (1, 'a')`);
    const move = to(source, 'isolated');
    const prepared = await prepare(platform.places, move);
    await copy(platform.places, move);
    await run(tenantId, sql`INSERT INTO deeds (id, text) VALUES (2, 'b')`);
    const { rows } = await inDatabase(move.to.database, `SELECT DISTINCT owner FROM "${source.appSchema}".deeds`);
    expect(rows).toEqual([{ owner: 'tenantry_app_owner' }]);
    // What a function says of its caller is not what it said of the tenant: such a copy differs.
    await expect(catchUp(platform.places, move)).rejects.toMatchObject({ code: 'placement.copy_differs' });
    await abandon(platform.places, move);
    expect(prepared.structure).toMatch(/^[0-9a-f]{64}$/);
  }, 60_000);

  it('stops where the structure changes under it, with the gate open', async () => {
    const source = await placed('dedicated');
    const move = to(source, 'isolated');
    const prepared = await prepare(platform.places, move);
    await copy(platform.places, move);
    await catchUp(platform.places, move);
    await platform.admin.query(`ALTER TABLE "${source.appSchema}".people ADD COLUMN late int`);
    await expect(switchOver(platform.places, move, prepared)).rejects.toMatchObject({ code: 'placement.not_movable' });
    expect(await run(source.tenantId, sql`SELECT count(*)::int AS n FROM people`)).toEqual([{ n: 0 }]);
  }, 60_000);
});
