import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DomainError } from '@tenantry/contracts/errors';
import type { Isolation } from '@tenantry/contracts/values';
import { type RunningPostgres, startPostgres } from '@tenantry/testing/postgres';
import { sql } from 'drizzle-orm';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { leftInPlace } from './left-in-place.js';
import { urlFor } from './login-secret.js';
import { sha256 } from './migration-files.js';
import { abandon, catchUp, copy, fence, finish, prepare, reopen, retire, switchBack, switchOver, verify } from './move/move.js';
import type { Move } from './move/side.js';
import { placementFor } from './names.js';
import type { Placement } from './placement.js';
import { PostgresTenants } from './postgres-tenants.js';
import { createPlace, dropPlace } from './provision-schema.js';
import { registerDatabase } from './register-database.js';
import { registerServer } from './register-server.js';
import { addShared, upgradeShared } from './shared-elsewhere.js';
import { type Platform, startPlatform, testKeys } from './spec/platform.js';
import { publishOn } from './spec/publish.js';
import { ownVersions, versionIn } from './tenant-upgrade.js';

interface At {
  server: string;
  database: string;
}
const HOME: At = { server: 'default', database: 'tenantry' };
const SECOND: At = { server: 'default', database: 'tenants_2' };
const ABROAD: At = { server: 'eu-1', database: 'tenants_3' };
const all = [HOME, SECOND, ABROAD];
const nobody = { capacity: null, accepts: [] };
const refusal = (work: Promise<unknown>) =>
  work.then(
    () => 'none',
    (error: DomainError) => error.code,
  );

describe('shared tables in further databases', () => {
  let platform: Platform;
  let other: RunningPostgres;
  let pool: pg.Pool;
  let tenants: PostgresTenants;
  beforeAll(async () => {
    [platform, other] = await Promise.all([startPlatform(), startPostgres()]);
    const url = platform.urlOf('billing');
    pool = new pg.Pool({ connectionString: url, max: 6 });
    tenants = new PostgresTenants({ pool, url, keys: testKeys });
    await registerServer(platform.places, 'eu-1', other.url);
    await Promise.all([SECOND, ABROAD].map(({ server, database: name }) => registerDatabase(platform.places, { server, name }, nobody)));
    await publishOn(platform, 'shop', true, [
      `CREATE TABLE notes (tenant_id uuid NOT NULL DEFAULT current_setting('app.tenant_id')::uuid, id int NOT NULL, times int NOT NULL DEFAULT 1,
         PRIMARY KEY (tenant_id, id))`,
    ]);
  }, 60_000);
  afterAll(async () => {
    await tenants.close();
    await pool.end();
    await Promise.all([platform.stop(), other.stop()]);
  });

  const connected = async <T>({ server, database }: At, work: (client: pg.Client) => Promise<T>): Promise<T> => {
    const client = new pg.Client({ connectionString: urlFor(server === 'default' ? platform.server.url : other.url, database) });
    await client.connect();
    try {
      return await work(client);
    } finally {
      await client.end();
    }
  };
  const on = <T extends pg.QueryResultRow>(at: At, text: string, values: unknown[] = []): Promise<T[]> =>
    connected(at, async (client) => (await client.query<T>(text, values)).rows);
  const place = (at: At, isolation: Isolation = 'shared', tenantId: string = randomUUID(), generation = 1): Placement => ({
    ...placementFor(tenantId, isolation, { ...at, generation }),
    ready: true,
  });
  const living = async (at: At, isolation: Isolation = 'shared'): Promise<Placement> => {
    const placement = place(at, isolation);
    await createPlace(platform.places, placement);
    return placement;
  };
  const run = (tenantId: string, text: ReturnType<typeof sql>) =>
    tenants.withTenant(tenantId, async ({ db }) => (await db.execute(text)).rows);
  const write = (tenantId: string, id: number) => run(tenantId, sql`INSERT INTO notes (id) VALUES (${id})`);
  const idsOf = async (tenantId: string) => (await run(tenantId, sql`SELECT id FROM notes ORDER BY id`)).map(({ id }) => id);
  const setting = (tenantId: string) =>
    run(
      tenantId,
      sql`INSERT INTO config_settings (tenant_id, key, value, type, category, encrypted, updated_at) VALUES (${tenantId}, 'a', '{}', 'string', 'general', false, now())`,
    );
  const left = (tenantId: string) => leftInPlace(platform.places, tenantId, [place(SECOND), place(ABROAD)]);
  /** Whose rows there are, seen by a superuser. */
  const owners = async (at: At) =>
    (
      await on<{ owner: string }>(
        at,
        'SELECT DISTINCT tenant_id AS owner FROM app_shared.notes UNION SELECT DISTINCT tenant_id FROM shared.config_settings',
      )
    ).map(({ owner }) => owner);

  it('are made once, also after an attempt that died, and not where the role is somebody’s', async () => {
    await registerDatabase(platform.places, { server: 'default', name: 'third' }, nobody);
    await platform.admin.query('CREATE ROLE tenantry_shared_third');
    expect(await refusal(addShared(platform.places, { server: 'default', database: 'third' }))).toBe('database.taken');
    await Promise.all([SECOND, ABROAD, SECOND].map((at) => addShared(platform.places, at)));
    await platform.admin.query("UPDATE tenancy.databases SET shared_ready = false WHERE server = 'eu-1'");
    await addShared(platform.places, ABROAD);
    const { rows } = await platform.admin.query(
      'SELECT name, shared_role, shared_ready FROM tenancy.databases WHERE accepts = ARRAY[]::varchar[] ORDER BY name',
    );
    expect(rows).toEqual([
      { name: 'tenants_2', shared_role: 'tenantry_shared_tenants_2', shared_ready: true },
      { name: 'tenants_3', shared_role: 'tenantry_shared_tenants_3', shared_ready: true },
      { name: 'third', shared_role: null, shared_ready: false },
    ]);
    for (const at of [SECOND, ABROAD])
      expect(
        await on(
          at,
          `SELECT m.rolname AS member FROM pg_auth_members a JOIN pg_roles m ON m.oid = a.member
           WHERE a.roleid = $1::regrole AND m.rolname <> 'tenantry_provisioning'`,
          [`tenantry_shared_${at.database}`],
        ),
      ).toEqual([{ member: at.database }]);
    // Its login comes to no other database, and may become nobody of another.
    expect(
      await on(
        SECOND,
        `SELECT (SELECT count(*)::int FROM pg_database WHERE datallowconn AND datname <> 'tenants_2' AND has_database_privilege('tenants_2', oid, 'CONNECT')) AS databases,
           pg_has_role('tenants_2', 'tenantry_shared', 'SET') AS home, pg_has_role('tenants_2', 'tenantry_owner', 'SET') AS owner`,
      ),
    ).toEqual([{ databases: 0, home: false, owner: false }]);
  });

  it('keep tenants apart: in one database, and between them', async () => {
    const [a, b, c, d] = await Promise.all([living(HOME), living(SECOND), living(SECOND), living(ABROAD)]);
    expect(await createPlace(platform.places, b)).toEqual({ created: false });
    const everybody = [a, b, c, d];
    for (const [index, { tenantId }] of everybody.entries()) {
      await setting(tenantId);
      // The same keys everywhere.
      await write(tenantId, 1);
      await write(tenantId, 10 + index);
    }
    for (const [index, { tenantId, server, database, role }] of everybody.entries()) {
      const seen = await tenants.withTenant(tenantId, async ({ client }) => {
        const [at] = (await client.query('SELECT current_database() AS at, session_user AS who, current_user AS acting')).rows;
        const foreign = await client.query(
          'SELECT FROM notes WHERE tenant_id <> $1 UNION ALL SELECT FROM config_settings WHERE tenant_id <> $1',
          [tenantId],
        );
        return { ...at, foreign: foreign.rowCount };
      });
      expect(seen).toEqual({ at: database, who: database === 'tenantry' ? 'tenantry_billing' : database, acting: role, foreign: 0 });
      expect(await idsOf(tenantId)).toEqual([1, 10 + index]);
      // Another's context shows nothing of a tenant that lives in another database.
      const elsewhere = everybody.filter((one) => one.server !== server || one.database !== database);
      const found = await tenants.withTenant(tenantId, async ({ client }) => {
        const counts: (number | null)[] = [];
        for (const one of elsewhere) {
          await client.query("SELECT set_config('app.tenant_id', $1, true)", [one.tenantId]);
          counts.push((await client.query('SELECT FROM notes UNION ALL SELECT FROM config_settings')).rowCount);
        }
        return counts;
      });
      expect(found).toEqual(elsewhere.map(() => 0));
      await expect(
        tenants.withTenant(tenantId, async ({ client }) => {
          await client.query("SELECT set_config('app.tenant_id', '', true)");
          return client.query('SELECT FROM notes');
        }),
      ).rejects.toThrow('invalid input syntax for type uuid');
      await expect(
        tenants.withTenant(tenantId, ({ client }) => client.query('INSERT INTO notes (tenant_id, id) VALUES ($1, 99)', [randomUUID()])),
      ).rejects.toThrow('row-level security');
    }
    expect((await owners(SECOND)).sort()).toEqual([b.tenantId, c.tenantId].sort());
    expect(await owners(ABROAD)).toEqual([d.tenantId]);

    expect(await left(b.tenantId)).toBeGreaterThan(4);
    await dropPlace(platform.places, b);
    await dropPlace(platform.places, b);
    expect([await left(b.tenantId), await owners(SECOND), await idsOf(c.tenantId)]).toEqual([0, [c.tenantId], [1, 12]]);
    for (const one of [a, c, d]) await dropPlace(platform.places, one);
    expect(await Promise.all(everybody.map(({ tenantId }) => left(tenantId)))).toEqual([0, 0, 0, 0]);
  });

  it('are searched for what is left of a tenant, whatever level it last had', async () => {
    const { tenantId } = await living(SECOND);
    await write(tenantId, 1);
    await platform.admin.query('DELETE FROM tenancy.placements WHERE tenant_id = $1', [tenantId]);
    const found = await leftInPlace(platform.places, tenantId, [place(SECOND, 'dedicated', tenantId), place(SECOND, 'shared', tenantId)]);
    // The note, the gate, and the room on the server and in the database.
    expect(found).toBe(4);
    for (const level of ['dedicated', 'shared'] as const) await dropPlace(platform.places, place(SECOND, level, tenantId));
    expect(await left(tenantId)).toBe(0);
    // In a database without shared tables there is nothing to look for.
    await dropPlace(platform.places, place({ server: 'default', database: 'third' }, 'shared', tenantId));
  });

  it('are found again where an attempt died before the tenant was let in', async () => {
    const placement = await living(ABROAD);
    await platform.admin.query('UPDATE tenancy.placements SET ready = false WHERE tenant_id = $1', [placement.tenantId]);
    await on(ABROAD, 'DELETE FROM tenancy.tenant_gate WHERE tenant_id = $1', [placement.tenantId]);
    expect(await refusal(tenants.withTenant(placement.tenantId, async () => undefined))).toBe('placement.not_found');
    expect(await createPlace(platform.places, placement)).toEqual({ created: true });
    await write(placement.tenantId, 1);
    await dropPlace(platform.places, placement);
  });

  it('are brought to a new release, with rights and row-level security, while tenants are in', async () => {
    const own = await ownVersions(platform.places.pool);
    const text =
      'CREATE TABLE zulu_things (tenant_id uuid NOT NULL, id int, PRIMARY KEY (tenant_id, id)); ALTER TABLE checkpoints ADD COLUMN note text';
    const files = [...own.files, { name: 'zulu/0001_x.sql', sql: text, sha256: sha256(text) }];
    const next = { current: 'feedfacefeedface', files, byVersion: own.byVersion };
    const { tenantId, ...placement } = await living(ABROAD);
    const upgraded = connected(ABROAD, async (client) => {
      await upgradeShared(client, placement.role, next);
      await upgradeShared(client, placement.role, next);
      return versionIn(client, 'shared');
    });
    // Somebody is in the way of the first try.
    await tenants.withTenant(tenantId, async ({ client }) => {
      await client.query('SELECT FROM checkpoints');
      await sleep(2_000);
    });
    expect(await upgraded).toBe(next.current);
    await run(tenantId, sql`INSERT INTO zulu_things VALUES (${tenantId}, 1)`);
    await expect(run(tenantId, sql`INSERT INTO zulu_things VALUES (${randomUUID()}, 1)`)).rejects.toThrow();
    // What a newer release has made is left to it.
    await connected(ABROAD, (client) => upgradeShared(client, placement.role, own));
    await on(
      ABROAD,
      `ALTER TABLE shared.checkpoints DROP COLUMN note; DROP TABLE shared.zulu_things; COMMENT ON SCHEMA shared IS 'tenantry ${own.current}'`,
    );
    await dropPlace(platform.places, { tenantId, ...placement });
  });

  const to = (from: Placement, at: At, isolation: Isolation = 'shared'): Move => ({
    from,
    to: place(at, isolation, from.tenantId, from.generation + 1),
  });
  const prepared = async (move: Move) => {
    const made = await prepare(platform.places, move);
    await copy(platform.places, move);
    await catchUp(platform.places, move);
    await fence(platform.places, move);
    await verify(platform.places, move);
    return made;
  };
  const through = async (move: Move): Promise<Placement> => {
    await switchOver(platform.places, move, await prepared(move));
    await finish(platform.places, move);
    return move.to;
  };
  /** Writes all the time, and knows what it was told is there. */
  const writer = (tenantId: string) => {
    let going = true;
    const done = { notes: new Map<number, number>(), errors: [] as unknown[] };
    const loop = async (lane: number) => {
      for (let n = 0; going; n++) {
        const id = lane * 1_000_000 + n;
        try {
          await write(tenantId, id);
          done.notes.set(id, 1);
          if (n % 3 === 0) {
            await run(tenantId, sql`UPDATE notes SET times = times + 1 WHERE id = ${id}`);
            done.notes.set(id, 2);
          }
          if (n % 7 === 0) {
            await run(tenantId, sql`DELETE FROM notes WHERE id = ${id}`);
            done.notes.delete(id);
          }
        } catch (error) {
          done.errors.push(error);
        }
        await sleep(5);
      }
    };
    const lanes = [1, 2].map(loop);
    return {
      done,
      stop: async () => {
        going = false;
        await Promise.all(lanes);
      },
    };
  };
  const notes = async (tenantId: string) =>
    new Map((await run(tenantId, sql`SELECT id, times FROM notes`)).map(({ id, times }) => [id as number, times as number]));
  /** What moves leave in the databases' schemas: nothing. */
  const traces = async () => {
    const found = await Promise.all(
      all.map((at) =>
        on<{ n: number }>(
          at,
          `SELECT (SELECT count(*) FROM pg_class WHERE relname LIKE 'changes\\_%')::int + (SELECT count(*) FROM pg_proc WHERE proname LIKE 'note\\_%')::int
             + (SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'tenantry\\_moving%')::int AS n`,
        ),
      ),
    );
    return found.flatMap((rows) => rows.map(({ n }) => n));
  };
  /** Rows of the tenant in each database's shared tables. */
  const rowsIn = (tenantId: string) =>
    Promise.all(
      all.map(
        async (at) =>
          (await on<{ n: number }>(at, 'SELECT count(*)::int AS n FROM app_shared.notes WHERE tenant_id = $1', [tenantId]))[0]!.n,
      ),
    );

  it('are moved between, and from and to every level, while the tenant is written to: nothing is lost, nobody else’s rows are touched', async () => {
    const bystanders = await Promise.all(all.map((at) => living(at)));
    for (const [index, { tenantId }] of bystanders.entries()) for (const id of [1, 2, 100 + index]) await write(tenantId, id);
    let lives = await living(HOME);
    const { tenantId } = lives;
    await setting(tenantId);
    const work = writer(tenantId);
    const steps: [At, Isolation][] = [
      [SECOND, 'shared'],
      [ABROAD, 'shared'],
      [ABROAD, 'dedicated'],
      [SECOND, 'shared'],
      [SECOND, 'isolated'],
      [ABROAD, 'shared'],
      [HOME, 'shared'],
    ];
    for (const [at, isolation] of steps) {
      const move = to(lives, at, isolation);
      lives = await through(move);
      await sleep(60);
      await retire(platform.places, move);
      expect(await tenants.placement(tenantId, { fresh: true })).toMatchObject({
        ...at,
        ...(isolation === 'isolated' && { database: lives.database }),
        isolation,
        generation: lives.generation,
      });
      expect((await run(tenantId, sql`SELECT key FROM config_settings`)).map(({ key }) => key)).toEqual(['a']);
      // In the shared tables of no database that it has left.
      const there = isolation === 'shared' ? all.indexOf(at) : -1;
      expect((await rowsIn(tenantId)).map((n) => n > 0)).toEqual(all.map((_, index) => index === there));
    }
    await work.stop();
    expect(work.done.errors).toEqual([]);
    expect(work.done.notes.size).toBeGreaterThan(50);
    expect(await notes(tenantId)).toEqual(work.done.notes);
    for (const [index, one] of bystanders.entries()) {
      expect(await idsOf(one.tenantId)).toEqual([1, 2, 100 + index]);
      await dropPlace(platform.places, one);
    }
    expect(await traces()).toEqual([0, 0, 0]);
    await dropPlace(platform.places, lives);
    expect(await left(tenantId)).toBe(0);
  }, 240_000);

  it('are gone back to with what was written meanwhile, and undone from any step', async () => {
    const source = await living(SECOND);
    const { tenantId } = source;
    const work = writer(tenantId);
    const undone = to(source, ABROAD);
    await prepared(undone);
    expect(await switchBack(platform.places, undone)).toBeNull();
    await reopen(platform.places, undone);
    await abandon(platform.places, undone);
    const move = to(source, ABROAD);
    await through(move);
    await sleep(100);
    const back = (await switchBack(platform.places, move))!;
    expect(back).toMatchObject({ ...SECOND, isolation: 'shared', generation: 3 });
    await abandon(platform.places, move);
    await sleep(50);
    await work.stop();
    expect(work.done.errors).toEqual([]);
    expect(await notes(tenantId)).toEqual(work.done.notes);
    expect((await rowsIn(tenantId)).map((n) => n > 0)).toEqual([false, true, false]);
    expect(await traces()).toEqual([0, 0, 0]);
    await dropPlace(platform.places, back);
    expect(await left(tenantId)).toBe(0);
  }, 120_000);

  it('serve a tenant from exactly one place where the process dies behind the gate, between the databases or after', async () => {
    for (const [from, at, moments] of [
      [HOME, SECOND, ['left']],
      [SECOND, ABROAD, ['closed', 'left', 'placed']],
      [ABROAD, HOME, ['left']],
    ] as const)
      for (const moment of moments) {
        const source = await living(from);
        const { tenantId } = source;
        const work = writer(tenantId);
        const move = to(source, at);
        const made = await prepared(move);
        const ending = new AbortController();
        const dies = async (now: string) => {
          if (now === moment) ending.abort(new Error('died'));
        };
        await Promise.allSettled([switchOver({ ...platform.places, signal: ending.signal }, move, made, { at: dies })]);
        expect(ending.signal.aborted).toBe(true);
        await sleep(100);
        // Whoever reads and writes meets the same rows, in one database or in the other.
        const [here] = await run(tenantId, sql`SELECT current_database() AS here`);
        const gates = await Promise.all(
          [from, at].map(
            async (one) =>
              (await on<{ generation: string }>(one, 'SELECT generation FROM tenancy.tenant_gate WHERE tenant_id = $1', [tenantId]))[0],
          ),
        );
        const hasLeft = moment !== 'closed';
        expect([moment, here!['here'], gates[0]?.generation]).toEqual([moment, hasLeft ? at.database : from.database, hasLeft ? '2' : '1']);
        // Whoever takes the move up goes on from there.
        await switchOver(platform.places, move, made);
        await finish(platform.places, move);
        await sleep(50);
        await work.stop();
        expect(work.done.errors).toEqual([]);
        expect(await notes(tenantId)).toEqual(work.done.notes);
        await retire(platform.places, move);
        expect((await rowsIn(tenantId)).map((n) => n > 0)).toEqual(all.map((one) => one === at));
        expect(await traces()).toEqual([0, 0, 0]);
        await dropPlace(platform.places, move.to);
      }
  }, 240_000);

  it('get blueprints that they have in no version with the next tenant, and leave later versions to campaigns', async () => {
    await publishOn(platform, 'extra', true, [
      `CREATE TABLE extras (tenant_id uuid NOT NULL DEFAULT current_setting('app.tenant_id')::uuid, id int NOT NULL, PRIMARY KEY (tenant_id, id))`,
    ]);
    const { tenantId, ...placement } = await living(SECOND);
    await run(tenantId, sql`INSERT INTO extras (id) VALUES (1)`);
    await publishOn(platform, 'extra', true, ['ALTER TABLE extras ADD COLUMN more text']);
    const next = await living(SECOND);
    const ledger = `SELECT blueprint, version FROM tenancy.app_ledger WHERE app_schema = 'app_shared' ORDER BY 1, 2`;
    const expected = [
      { blueprint: 'extra', version: 1 },
      { blueprint: 'shop', version: 1 },
    ];
    expect(await on(SECOND, ledger)).toEqual(expected);
    expect(await on(HOME, "SELECT blueprint, version FROM tenancy.shared_ledger WHERE database = 'tenants_2' ORDER BY 1, 2")).toEqual(
      expected,
    );
    expect(await on(ABROAD, ledger)).toEqual([{ blueprint: 'shop', version: 1 }]);
    await dropPlace(platform.places, { tenantId, ...placement });
    await dropPlace(platform.places, next);
  });
});
