import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DomainError } from '@tenantry/contracts/errors';
import { PLATFORM_LOG, tenantKey } from '@tenantry/contracts/ids';
import { eventually } from '@tenantry/testing/eventually';
import { type RunningPostgres, startPostgres } from '@tenantry/testing/postgres';
import { sql } from 'drizzle-orm';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SHARED_POOL_SIZE } from './database-pools.js';
import { leftInPlace } from './left-in-place.js';
import { openLogin, urlFor } from './login-secret.js';
import { abandon, catchUp, copy, fence, finish, prepare, retire, switchBack, switchOver, verify } from './move/move.js';
import type { Move } from './move/side.js';
import { placementFor } from './names.js';
import type { Placement } from './placement.js';
import { PostgresTenants } from './postgres-tenants.js';
import { createPlace, dropPlace } from './provision-schema.js';
import { registerDatabase, upgradeDatabases } from './register-database.js';
import { registerServer } from './register-server.js';
import { takeRoom, takeRoomAt } from './server-rooms.js';
import { type Platform, startPlatform, testKeys } from './spec/platform.js';

const refusal = (work: Promise<unknown>) =>
  work.then(
    () => 'none',
    (error: DomainError) => error.code,
  );
const SECOND = { server: 'default', name: 'tenants_2' };
const ABROAD = { server: 'eu-1', name: 'tenants_3' };
const terms = { capacity: null, accepts: ['dedicated' as const] };

describe('a database that many tenants share', () => {
  let platform: Platform;
  let other: RunningPostgres;
  let pool: pg.Pool;
  let tenants: PostgresTenants;
  beforeAll(async () => {
    [platform, other] = await Promise.all([startPlatform(), startPostgres()]);
    const url = platform.urlOf('billing');
    pool = new pg.Pool({ connectionString: url, max: 4 });
    tenants = new PostgresTenants({ pool, url, keys: testKeys });
    await registerServer(platform.places, 'eu-1', other.url);
  }, 60_000);
  afterAll(async () => {
    await tenants.close();
    await pool.end();
    await Promise.all([platform.stop(), other.stop()]);
  });

  const urlOf = ({ server, name }: typeof SECOND) => urlFor(server === 'default' ? platform.server.url : other.url, name);
  const on = async <T extends pg.QueryResultRow>(at: typeof SECOND, text: string, values: unknown[] = []): Promise<T[]> => {
    const client = new pg.Client({ connectionString: urlOf(at) });
    await client.connect();
    try {
      return (await client.query<T>(text, values)).rows;
    } finally {
      await client.end();
    }
  };
  const dedicatedIn = ({ server, name }: typeof SECOND, tenantId: string = randomUUID(), generation = 1): Placement => ({
    ...placementFor(tenantId, 'dedicated', { server, database: name, generation }),
    ready: true,
  });
  const left = (tenantId: string) =>
    leftInPlace(
      platform.places,
      tenantId,
      [SECOND, ABROAD].map((at) => dedicatedIn(at, tenantId)),
    );
  const members = async (at: typeof SECOND, role: string) =>
    (
      await on<{ member: string }>(
        at,
        `SELECT m.rolname AS member FROM pg_auth_members a JOIN pg_roles r ON r.oid = a.roleid JOIN pg_roles m ON m.oid = a.member
         WHERE r.rolname = $1 AND m.rolname <> 'tenantry_provisioning' ORDER BY 1`,
        [role],
      )
    ).map(({ member }) => member);
  const roomsOf = async (tenantId: string) =>
    (
      await platform.admin.query<{ at: string }>(
        `SELECT server || '/' || database AS at FROM tenancy.database_places WHERE tenant_id = $1 ORDER BY 1`,
        [tenantId],
      )
    ).rows.map(({ at }) => at);

  it('is made once, also after an attempt that died, and not where the name is somebody’s', async () => {
    await platform.admin.query('CREATE DATABASE somebodys');
    expect(await refusal(registerDatabase(platform.places, { ...SECOND, name: 'somebodys' }, terms))).toBe('database.taken');
    expect(await refusal(registerDatabase(platform.places, { ...SECOND, name: 'tenantry_audit' }, terms))).toBe('database.taken');
    expect(await refusal(registerDatabase(platform.places, { ...SECOND, server: 'nowhere' }, terms))).toBe('server.not_found');
    await platform.admin.query(`INSERT INTO tenancy.databases (server, name, accepts, login_secret) VALUES ($1, $2, '{dedicated}', $3)`, [
      SECOND.server,
      SECOND.name,
      JSON.stringify(await testKeys.encrypt(PLATFORM_LOG, 'login', 'left-by-an-attempt')),
    ]);
    const asked = await Promise.all([registerDatabase(platform.places, SECOND, terms), registerDatabase(platform.places, ABROAD, terms)]);
    expect(asked).toEqual([{ created: true }, { created: true }]);
    expect(await registerDatabase(platform.places, SECOND, terms)).toEqual({ created: false });
  });

  it.each([SECOND, ABROAD])('holds dedicated tenants, whom every service reaches with the login of $name', async (at) => {
    const [one, two] = [dedicatedIn(at), dedicatedIn(at)];
    expect(await Promise.all([createPlace(platform.places, one), createPlace(platform.places, one)])).toHaveLength(2);
    expect(await createPlace(platform.places, one)).toEqual({ created: false });
    await createPlace(platform.places, two);
    const seen = await tenants.withTenant(one.tenantId, async ({ db }) => {
      await db.execute(
        sql`INSERT INTO config_settings (tenant_id, key, value, type, category, encrypted, updated_at) VALUES (${one.tenantId}, 'a', '{}', 'string', 'general', false, now())`,
      );
      return (await db.execute(sql`SELECT current_database() AS at, session_user AS who, current_user AS acting`)).rows;
    });
    expect(seen).toEqual([{ at: at.name, who: at.name, acting: one.role }]);
    const others = await tenants.withTenant(
      two.tenantId,
      async ({ db }) => (await db.execute(sql`SELECT * FROM config_settings`)).rowCount,
    );
    expect(others).toBe(0);
    await expect(
      tenants.withTenant(two.tenantId, ({ client }) => client.query(`SELECT * FROM ${one.schema}.config_settings`)),
    ).rejects.toThrow('permission denied');
    expect(await members(at, one.role)).toEqual([at.name]);
    expect(await roomsOf(one.tenantId)).toEqual([`${at.server}/${at.name}`]);
    // The login comes to no other database, and to no tenant of another.
    const open = await on(
      at,
      `SELECT datname FROM pg_database WHERE datallowconn AND has_database_privilege($1, oid, 'CONNECT') AND datname <> $1`,
      [at.name],
    );
    expect(open.filter(({ datname }) => datname !== 'somebodys')).toEqual([]);
    expect(await left(one.tenantId)).toBeGreaterThan(4);
    await dropPlace(platform.places, one);
    await dropPlace(platform.places, one);
    expect(await left(one.tenantId)).toBe(0);
    await dropPlace(platform.places, two);
  });

  it('says who is not let in by its gate', async () => {
    const place = dedicatedIn(SECOND);
    await createPlace(platform.places, place);
    await on(SECOND, 'UPDATE tenancy.tenant_gate SET generation = 7 WHERE tenant_id = $1', [place.tenantId]);
    expect(await refusal(tenants.withTenant(place.tenantId, async () => undefined))).toBe('placement.not_found');
    await on(SECOND, 'UPDATE tenancy.tenant_gate SET generation = 1 WHERE tenant_id = $1', [place.tenantId]);
    expect(await refusal(tenants.withTenant(place.tenantId, async () => undefined))).toBe('none');
    await dropPlace(platform.places, place);
  });

  it('is not asked for ever where its gate and that of the next place each send the tenant to the other', async () => {
    const place = dedicatedIn(SECOND);
    const { tenantId, appSchema: app_schema, ...there } = dedicatedIn(ABROAD, place.tenantId, 2);
    await createPlace(platform.places, place);
    await platform.admin.query('UPDATE tenancy.placements SET next = $2 WHERE tenant_id = $1', [
      tenantId,
      JSON.stringify({ ...there, app_schema }),
    ]);
    // As after one server was restored from a backup and the other not.
    await on(SECOND, 'UPDATE tenancy.tenant_gate SET generation = 7 WHERE tenant_id = $1', [tenantId]);
    await on(ABROAD, 'INSERT INTO tenancy.tenant_gate (tenant_id, generation) VALUES ($1, 8)', [tenantId]);
    const url = platform.urlOf('billing');
    const impatient = new PostgresTenants({ pool, url, keys: testKeys, gate: { waitMs: 300 } });
    const asked = refusal(impatient.withTenant(tenantId, async () => undefined));
    const answer = await Promise.race([asked, sleep(3_000, 'still asking')]);
    await on(SECOND, 'UPDATE tenancy.tenant_gate SET generation = 1 WHERE tenant_id = $1', [tenantId]);
    await asked;
    expect(answer).toBe('placement.not_found');
    await impatient.close();
    await on(ABROAD, 'DELETE FROM tenancy.tenant_gate WHERE tenant_id = $1', [tenantId]);
    await dropPlace(platform.places, place);
  });

  it('lets so many in and so many wait in their order; the next hear at once that it is busy, and nobody that it is away', async () => {
    const [crowd, other] = [dedicatedIn(SECOND), dedicatedIn(SECOND)];
    await Promise.all([createPlace(platform.places, crowd), createPlace(platform.places, other)]);
    const connections = { inUse: SHARED_POOL_SIZE };
    const busy = new PostgresTenants({
      ...{ pool, url: platform.urlOf('billing'), keys: testKeys, connections },
      turns: { waiting: 3, waitMs: 400 },
    });
    try {
      const leave: (() => void)[] = [];
      const inside = Array.from({ length: SHARED_POOL_SIZE }, () =>
        busy.withTenant(crowd.tenantId, () => new Promise<void>((resolve) => leave.push(resolve))),
      );
      await eventually(async () => leave.length === SHARED_POOL_SIZE, { timeoutMs: 4_000, what: 'all connections to be in use' });
      const order: number[] = [];
      const asked = Array.from({ length: 4 }, (_, n) =>
        busy
          .withTenant(other.tenantId, async () => {
            order.push(n);
          })
          .then(
            () => 'in',
            (error: unknown) => error,
          ),
      );
      expect(await asked[3]).toMatchObject({ code: 'placement.busy', retryAfterSeconds: 1 });
      leave.shift()?.();
      expect(await Promise.all(asked.slice(0, 3))).toEqual(['in', 'in', 'in']);
      expect(order).toEqual([0, 1, 2]);
      // Again with nobody leaving: whoever waits too long hears the same.
      const last = busy.withTenant(other.tenantId, () => new Promise<void>((resolve) => leave.push(resolve)));
      await eventually(async () => leave.length === SHARED_POOL_SIZE, { timeoutMs: 2_000, what: 'all connections to be in use again' });
      expect(await refusal(busy.withTenant(other.tenantId, async () => undefined))).toBe('placement.busy');
      for (const go of leave) go();
      await Promise.all([...inside, last]);
      expect(await refusal(busy.withTenant(other.tenantId, async () => undefined))).toBe('none');
    } finally {
      await busy.close();
    }
    await dropPlace(platform.places, crowd);
    await dropPlace(platform.places, other);
  });

  it('stays open to the others where a session of one tenant is ended', async () => {
    const [one, two] = [dedicatedIn(SECOND), dedicatedIn(SECOND)];
    await Promise.all([createPlace(platform.places, one), createPlace(platform.places, two)]);
    await expect(
      tenants.withTenant(one.tenantId, async ({ client }) => {
        await client.query('SET LOCAL idle_in_transaction_session_timeout = 20');
        await sleep(200);
        await client.query('SELECT 1');
      }),
    ).rejects.toThrow();
    expect(await refusal(tenants.withTenant(two.tenantId, async () => undefined))).toBe('none');
    await dropPlace(platform.places, one);
    await dropPlace(platform.places, two);
  });

  it('is found again where an attempt died after the schemas were made', async () => {
    const place = dedicatedIn(SECOND);
    await createPlace(platform.places, place);
    await platform.admin.query('UPDATE tenancy.placements SET ready = false WHERE tenant_id = $1', [place.tenantId]);
    expect(await createPlace(platform.places, place)).toEqual({ created: true });
    expect(await refusal(tenants.withTenant(place.tenantId, async () => undefined))).toBe('none');
    await dropPlace(platform.places, place);
  });

  it('is brought to this release, with or without tenants', async () => {
    await on(
      SECOND,
      `DROP TABLE tenancy.app_ledger; DROP FUNCTION tenancy.advance_app; DELETE FROM tenancy.migrations WHERE file LIKE '0006%'`,
    );
    const failed: unknown[] = [];
    await upgradeDatabases(platform.places, (_, error) => failed.push(error));
    expect(failed).toEqual([]);
    expect(await on(SECOND, `SELECT to_regclass('tenancy.app_ledger') IS NOT NULL AS there`)).toEqual([{ there: true }]);
  });

  const to = (from: Placement, at: typeof SECOND, isolation: Placement['isolation'] = 'dedicated'): Move => ({
    from,
    to: {
      ...placementFor(from.tenantId, isolation, { server: at.server, database: at.name, generation: from.generation + 1 }),
      ready: true,
    },
  });
  const through = async (move: Move): Promise<void> => {
    await takeRoomAt(platform.places.pool, move.to.tenantId, move.to);
    const prepared = await prepare(platform.places, move);
    await copy(platform.places, move);
    await catchUp(platform.places, move);
    await fence(platform.places, move);
    await verify(platform.places, move);
    await switchOver(platform.places, move, prepared);
    await finish(platform.places, move);
  };
  const write = (tenantId: string, text: string) =>
    tenants.withTenant(tenantId, ({ db, placement }) =>
      db.execute(sql`INSERT INTO ${sql.identifier(placement.appSchema)}.notes (text) VALUES (${text})`),
    );
  const notes = (tenantId: string) =>
    tenants.withTenant(tenantId, async ({ db, placement }) =>
      (await db.execute<{ text: string }>(sql`SELECT text FROM ${sql.identifier(placement.appSchema)}.notes ORDER BY text`)).rows.map(
        ({ text }) => text,
      ),
    );
  const HOME = { server: 'default', name: 'tenantry' };

  it('is moved to and from: the control plane’s, another, another server’s, one of the tenant’s own', async () => {
    const home = dedicatedIn(HOME);
    const { tenantId, role } = home;
    await createPlace(platform.places, home);
    await on(
      HOME,
      `BEGIN; SET LOCAL ROLE tenantry_owner; CREATE TABLE "${home.appSchema}".notes (text text PRIMARY KEY);
       GRANT SELECT, INSERT ON "${home.appSchema}".notes TO "${role}"; COMMIT`,
    );
    await write(tenantId, '0');
    const undone = to(home, SECOND);
    await through(undone);
    await write(tenantId, '1');
    const back = (await switchBack(platform.places, undone))!;
    await abandon(platform.places, undone);
    expect([await notes(tenantId), await roomsOf(tenantId), await members(HOME, role)]).toEqual([
      ['0', '1'],
      ['default/tenantry'],
      ['tenantry_bucket_0'],
    ]);

    let lives = back;
    const steps = [
      [SECOND, 'dedicated', [SECOND.name]],
      [ABROAD, 'dedicated', [ABROAD.name]],
      [ABROAD, 'isolated', []],
      [ABROAD, 'dedicated', [ABROAD.name]],
      [SECOND, 'dedicated', [SECOND.name]],
      [HOME, 'dedicated', ['tenantry_bucket_0']],
      [SECOND, 'isolated', []],
      [SECOND, 'dedicated', [SECOND.name]],
    ] as const;
    const written = ['0', '1'];
    for (const [at, isolation, buckets] of steps) {
      const move = to(lives, at, isolation);
      await through(move);
      written.push(String(written.length));
      await write(tenantId, written.at(-1)!);
      await retire(platform.places, move);
      lives = move.to;
      const where = `${at.server}/${isolation === 'isolated' ? lives.database : at.name}`;
      expect([where, await notes(tenantId), await roomsOf(tenantId)]).toEqual([where, written, isolation === 'isolated' ? [] : [where]]);
      expect([where, await members(at, role)]).toEqual([where, buckets]);
    }
    expect(await on(ABROAD, 'SELECT FROM pg_roles WHERE rolname = $1', [role])).toEqual([]);
    await dropPlace(platform.places, lives);
    expect(await left(tenantId)).toBe(0);
  }, 60_000);

  it('is reached by the operator’s product, which is told the login', async () => {
    const place = dedicatedIn(SECOND);
    await createPlace(platform.places, place);
    await platform.admin.query(`CREATE ROLE shop LOGIN PASSWORD 'shop' IN ROLE tenantry_product`);
    const url = urlFor(platform.server.url, 'tenantry', { user: 'shop', password: 'shop' });
    const shop = new pg.Pool({ connectionString: url, max: 1 });
    const passwordOf = async (_: string, generation: number) => {
      const at = generation === 1 ? SECOND : ABROAD;
      const { rows } = await platform.admin.query('SELECT login_secret FROM tenancy.databases WHERE name = $1', [at.name]);
      return openLogin(testKeys, PLATFORM_LOG, rows[0].login_secret);
    };
    const product = new PostgresTenants({ pool: shop, url, keys: { passwordOf }, path: 'product' });
    const path = await product.withTenant(
      place.tenantId,
      async ({ client }) => (await client.query('SHOW search_path')).rows[0].search_path,
    );
    expect(path).toContain(`app_${tenantKey(place.tenantId)}`);
    // Where the tenant has gone, too, before the placement says so: each database has a login of its own.
    const move = to(place, ABROAD);
    const prepared = await prepare(platform.places, move);
    await copy(platform.places, move);
    await catchUp(platform.places, move);
    await fence(platform.places, move);
    const died = async (moment: string) => {
      if (moment === 'left') throw new Error('died');
    };
    await expect(switchOver(platform.places, move, prepared, { at: died })).rejects.toThrow('died');
    const at = await product.withTenant(
      place.tenantId,
      async ({ client }) => (await client.query('SELECT current_database() AS at')).rows[0].at,
    );
    expect(at).toBe(ABROAD.name);
    await product.close();
    await shop.end();
    await switchOver(platform.places, move, prepared);
    await retire(platform.places, move);
    await dropPlace(platform.places, move.to);
  });

  it('takes no more tenants than it has room for, however many ask at once; the others go where there is room', async () => {
    const setTerms = (name: string, capacity: number | null, accepts: string[]) =>
      platform.admin.query('UPDATE tenancy.databases SET capacity = $2, accepts = $3 WHERE name = $1', [name, capacity, accepts]);
    await setTerms(SECOND.name, 20, ['dedicated']);
    await setTerms(ABROAD.name, null, []);
    await setTerms('tenantry', 15, ['shared', 'dedicated']);
    const ids = Array.from({ length: 50 }, () => randomUUID());
    const wish = { region: 'default', isolation: 'dedicated' as const };
    const took = await Promise.all(ids.map((id) => takeRoom(platform.places.pool, id, wish).catch((error: DomainError) => error.code)));
    const counts = new Map<string, number>();
    for (const at of took) {
      const where = typeof at === 'string' ? at : `${at.server}/${at.database}`;
      counts.set(where, (counts.get(where) ?? 0) + 1);
    }
    expect(Object.fromEntries(counts)).toEqual({ 'default/tenantry': 15, 'default/tenants_2': 20, 'placement.no_room': 15 });
    const first = took.findIndex((at) => typeof at !== 'string');
    expect(await takeRoom(platform.places.pool, ids[first]!, wish)).toEqual(took[first]);
    const moved = randomUUID();
    expect(await refusal(takeRoomAt(platform.places.pool, moved, dedicatedIn(SECOND)))).toBe('placement.no_room');
    expect(await refusal(takeRoomAt(platform.places.pool, moved, dedicatedIn(ABROAD)))).toBe('placement.no_room');
    await setTerms(SECOND.name, 21, []);
    expect(await refusal(takeRoomAt(platform.places.pool, moved, dedicatedIn(SECOND)))).toBe('placement.no_room');
    await setTerms(SECOND.name, 21, ['dedicated']);
    expect(await refusal(takeRoomAt(platform.places.pool, moved, dedicatedIn(SECOND)))).toBe('none');
    for (const table of ['server_places', 'database_places'])
      await platform.admin.query(`DELETE FROM tenancy.${table} WHERE tenant_id = ANY ($1)`, [[...ids, moved]]);
  });
});
