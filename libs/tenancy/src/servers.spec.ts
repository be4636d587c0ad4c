import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DomainError } from '@tenantry/contracts/errors';
import { tenantKey } from '@tenantry/contracts/ids';
import { type RunningPostgres, startPostgres } from '@tenantry/testing/postgres';
import { sql } from 'drizzle-orm';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { leftInPlace } from './left-in-place.js';
import { openLogin, urlFor } from './login-secret.js';
import { abandon, catchUp, copy, fence, finish, prepare, retire, switchBack, switchOver, verify } from './move/move.js';
import type { Move } from './move/side.js';
import { placementFor } from './names.js';
import type { Placement } from './placement.js';
import { PostgresTenants } from './postgres-tenants.js';
import { createPlace, dropPlace } from './provision-schema.js';
import { publicUrl, registerServer, upgradeServers } from './register-server.js';
import { takeRoom, takeRoomAt } from './server-rooms.js';
import { type Platform, startPlatform, testKeys } from './spec/platform.js';

const refusal = (work: Promise<unknown>) =>
  work.then(
    () => ({ code: 'none', rule: undefined }),
    (error: DomainError) => ({ code: error.code, rule: error.errors[0]?.rule }),
  );

describe('what is kept of the URL of a server', () => {
  it('is nothing of the login', () => {
    expect(publicUrl('postgresql://admin:se%40cret@db.example.com/postgres?sslmode=verify-full')).toBe(
      'postgres://db.example.com:5432/postgres?sslmode=verify-full',
    );
  });
  it.each(['', 'db.example.com', 'http://a:b@c/d', 'postgres://a:b@c/', 'postgres://c:5432/d', 'postgres://a@c/d?password=secret'])(
    'is refused where it is none: %s',
    (url) => expect(() => publicUrl(url)).toThrow(/must be|may have/),
  );
});

describe('another server', () => {
  let platform: Platform;
  let other: RunningPostgres;
  let admin: pg.Client;
  let pool: pg.Pool;
  let tenants: PostgresTenants;
  beforeAll(async () => {
    [platform, other] = await Promise.all([startPlatform(), startPostgres()]);
    admin = new pg.Client({ connectionString: other.url });
    await admin.connect();
    const url = platform.urlOf('billing');
    pool = new pg.Pool({ connectionString: url, max: 4 });
    tenants = new PostgresTenants({ pool, url, keys: testKeys });
  }, 60_000);
  afterAll(async () => {
    await tenants.close();
    await Promise.all([pool.end(), admin.end()]);
    await Promise.all([platform.stop(), other.stop()]);
  });

  const register = (name = 'eu-1', url = other.url) => registerServer(platform.places, name, url);
  const isolatedOn = (server: string, tenantId: string = randomUUID(), generation = 1): Placement => ({
    ...placementFor(tenantId, 'isolated', { server, generation }),
    ready: true,
  });
  const databases = async (client: pg.Client, tenantId: string) =>
    (await client.query('SELECT FROM pg_database WHERE datname = $1', [`tenantry_t_${tenantKey(tenantId)}`])).rowCount;
  const roles = async (client: pg.Client, tenantId: string) =>
    (await client.query('SELECT FROM pg_roles WHERE rolname = $1', [`t_${tenantKey(tenantId)}`])).rowCount;
  const left = (tenantId: string) => leftInPlace(platform.places, tenantId, [isolatedOn('eu-1', tenantId)]);
  const roomsOf = async (tenantId: string) =>
    (
      await platform.admin.query<{ server: string }>('SELECT server FROM tenancy.server_places WHERE tenant_id = $1 ORDER BY 1', [tenantId])
    ).rows.map(({ server }) => server);

  it('is refused where it can’t be reached, by whom it doesn’t know, or where others have databases that are open', async () => {
    const wrong = new URL(other.url);
    wrong.password = 'wrong-secret';
    expect(await refusal(register('eu-1', wrong.href))).toEqual({ code: 'request.invalid', rule: 'login' });
    expect(await refusal(register('eu-1', urlFor(other.url, 'nowhere')))).toEqual({ code: 'request.invalid', rule: 'database' });
    expect(await refusal(register('eu-1', 'postgres://a:b@127.0.0.1:1/postgres'))).toEqual({ code: 'request.invalid', rule: 'reachable' });
    await admin.query('CREATE DATABASE somebodys');
    expect(await refusal(register())).toEqual({ code: 'request.invalid', rule: 'closed' });
    await admin.query('DROP DATABASE somebodys');
    await admin.query(`CREATE ROLE weak LOGIN PASSWORD 'weak'`);
    expect(await refusal(register('eu-1', urlFor(other.url, 'postgres', { user: 'weak', password: 'weak' })))).toEqual({
      ...{ code: 'request.invalid', rule: 'rights' },
    });
    await admin.query('DROP ROLE weak');
    expect((await platform.admin.query('SELECT FROM tenancy.servers')).rowCount).toBe(1);
  });

  it('is not the control plane’s own under another name', async () => {
    expect((await refusal(register('again', platform.server.url))).code).toBe('server.taken');
  });

  it('gets the platform’s roles, also after an attempt that died, and keeps nothing of the administrator’s login', async () => {
    const secret = JSON.stringify(await testKeys.encrypt('', 'login', 'left-by-an-attempt'));
    await platform.admin.query('INSERT INTO tenancy.servers (name, url, login_secret) VALUES ($1, $2, $3)', [
      'eu-1',
      publicUrl(other.url),
      secret,
    ]);
    expect(await register()).toEqual({ created: true });
    expect(await register()).toEqual({ created: false });
    expect((await refusal(register('eu-1', platform.server.url))).code).toBe('server.differs');
    expect((await refusal(register('eu-2'))).code).toBe('server.taken');
    const { rows } = await platform.admin.query<{ row: string }>(
      `SELECT to_jsonb(s)::text AS row FROM tenancy.servers s WHERE name = 'eu-1'`,
    );
    expect(rows[0]!.row).toContain(`:${new URL(other.url).port}/postgres`);
    expect(rows[0]!.row).not.toContain('postgres:postgres');
    await expect(pool.query('SELECT login_secret FROM tenancy.servers')).rejects.toThrow('permission denied');
  });

  it('that an earlier release prepared gets the login for blueprints, also where its making was begun', async () => {
    for (const secret of ['NULL', 'app_login_secret']) {
      await admin.query('DROP OWNED BY tenantry_blueprints; DROP ROLE tenantry_blueprints');
      await platform.admin.query(`UPDATE tenancy.servers SET app_login_secret = ${secret} WHERE name = 'eu-1'`);
      const failed: unknown[] = [];
      await upgradeServers(platform.places, (_, error) => failed.push(error));
      await upgradeServers(platform.places, (_, error) => failed.push(error));
      expect(failed).toEqual([]);
      const place = isolatedOn('eu-1');
      await createPlace(platform.places, place);
      const who = await platform.places.app.run(place, async (client) => (await client.query('SELECT session_user AS who')).rows);
      expect(who).toEqual([{ who: 'tenantry_blueprints' }]);
      await dropPlace(platform.places, place);
    }
  });

  it('holds tenants with a database and login of their own, who reach nothing else there', async () => {
    const place = isolatedOn('eu-1');
    const { tenantId, database, role } = place;
    expect(await Promise.all([createPlace(platform.places, place), createPlace(platform.places, place)])).toHaveLength(2);
    expect(await createPlace(platform.places, place)).toEqual({ created: false });
    expect([await databases(admin, tenantId), await databases(platform.admin, tenantId), await roles(platform.admin, tenantId)]).toEqual([
      1, 0, 0,
    ]);
    const at = await tenants.withTenant(
      tenantId,
      async ({ db }) => (await db.execute(sql`SELECT current_database() AS at, session_user AS who`)).rows,
    );
    expect(at).toEqual([{ at: database, who: role }]);
    const open = await tenants.withTenant(
      tenantId,
      async ({ client }) =>
        (
          await client.query(
            `SELECT datname FROM pg_database WHERE datallowconn AND datname <> current_database() AND has_database_privilege(current_user, oid, 'CONNECT')`,
          )
        ).rows,
    );
    expect(open).toEqual([]);
    expect(await roomsOf(tenantId)).toEqual(['eu-1']);
    expect(await left(tenantId)).toBeGreaterThan(2);
    await dropPlace(platform.places, place);
    await dropPlace(platform.places, place);
    expect(await left(tenantId)).toBe(0);
    expect([await databases(admin, tenantId), await roles(admin, tenantId)]).toEqual([0, 0]);
  });

  it('is found out to hold what was forgotten there', async () => {
    const place = isolatedOn('eu-1');
    await createPlace(platform.places, place);
    await platform.admin.query('DELETE FROM tenancy.placements WHERE tenant_id = $1', [place.tenantId]);
    await platform.admin.query('DELETE FROM tenancy.server_places WHERE tenant_id = $1', [place.tenantId]);
    expect(await left(place.tenantId)).toBe(2);
    await dropPlace(platform.places, place);
    expect(await left(place.tenantId)).toBe(0);
  });

  const to = (from: Placement, isolation: Placement['isolation'], server: string): Move => ({
    from,
    to: { ...placementFor(from.tenantId, isolation, { server, generation: from.generation + 1 }), ready: true },
  });
  const through = async (move: Move): Promise<Placement> => {
    await takeRoomAt(platform.places.pool, move.to.tenantId, move.to);
    const prepared = await prepare(platform.places, move);
    await copy(platform.places, move);
    await catchUp(platform.places, move);
    await fence(platform.places, move);
    await verify(platform.places, move);
    await switchOver(platform.places, move, prepared);
    await finish(platform.places, move);
    return move.to;
  };
  const write = (tenantId: string, key: string) =>
    tenants.withTenant(tenantId, ({ db, placement }) =>
      db.execute(sql`INSERT INTO ${sql.identifier(placement.appSchema)}.notes (text) VALUES (${key})`),
    );
  const notes = (tenantId: string) =>
    tenants.withTenant(tenantId, async ({ db, placement }) =>
      (await db.execute<{ text: string }>(sql`SELECT text FROM ${sql.identifier(placement.appSchema)}.notes ORDER BY text`)).rows.map(
        ({ text }) => text,
      ),
    );
  const withNotes = async (place: Placement, url: string): Promise<Placement> => {
    await createPlace(platform.places, place);
    const client = new pg.Client({ connectionString: urlFor(url, place.database) });
    await client.connect();
    await client.query(
      `BEGIN; SET LOCAL ROLE tenantry_owner; CREATE TABLE "${place.appSchema}".notes (text text PRIMARY KEY);
       GRANT SELECT, INSERT ON "${place.appSchema}".notes TO "${place.role}"; COMMIT`,
    );
    await client.end();
    return { ...place, ready: true };
  };

  it('is moved to and back between two databases of the same name, with what was written meanwhile', async () => {
    const home = await withNotes(isolatedOn('default'), platform.server.url);
    const { tenantId } = home;
    await write(tenantId, 'a');
    const move = to(home, 'isolated', 'eu-1');
    await through(move);
    await write(tenantId, 'b');
    expect([await databases(admin, tenantId), await databases(platform.admin, tenantId)]).toEqual([1, 1]);
    const back = await switchBack(platform.places, move);
    expect(await notes(tenantId)).toEqual(['a', 'b']);
    await abandon(platform.places, { from: back!, to: move.to });
    expect([await databases(admin, tenantId), await roles(admin, tenantId), await roomsOf(tenantId)]).toEqual([0, 0, ['default']]);

    const again = to(back!, 'isolated', 'eu-1');
    await through(again);
    await write(tenantId, 'c');
    await retire(platform.places, again);
    expect(await notes(tenantId)).toEqual(['a', 'b', 'c']);
    expect([await databases(platform.admin, tenantId), await roles(platform.admin, tenantId), await roomsOf(tenantId)]).toEqual([
      0,
      0,
      ['eu-1'],
    ]);
    await dropPlace(platform.places, again.to);
    expect(await left(tenantId)).toBe(0);
  }, 60_000);

  it('is moved to from a schema of the control plane, and back into one', async () => {
    const home = await withNotes(placementFor(randomUUID(), 'dedicated'), platform.server.url);
    const { tenantId } = home;
    await write(tenantId, 'a');
    const away = to(home, 'isolated', 'eu-1');
    await through(away);
    await retire(platform.places, away);
    await write(tenantId, 'b');
    expect([await notes(tenantId), await roles(platform.admin, tenantId), await roles(admin, tenantId)]).toEqual([['a', 'b'], 0, 1]);
    const home2 = to(away.to, 'dedicated', 'default');
    await through(home2);
    await retire(platform.places, home2);
    expect([await notes(tenantId), await roles(admin, tenantId), await databases(admin, tenantId)]).toEqual([['a', 'b'], 0, 0]);
    await dropPlace(platform.places, home2.to);
    expect(await left(tenantId)).toBe(0);
  });

  it('that the tenant has gone to and that is away is not asked again and again', async () => {
    const home = await withNotes(isolatedOn('default'), platform.server.url);
    const { tenantId, appSchema: app_schema, ...there } = home;
    await write(tenantId, 'a');
    // As after the death of who moved it: the gate says so already, the placement not yet.
    await platform.admin.query(`INSERT INTO tenancy.servers (name, url, ready) VALUES ('away', 'postgres://127.0.0.1:1/postgres', true)`);
    const next = JSON.stringify({ ...there, app_schema, server: 'away', generation: 2 });
    await platform.admin.query('UPDATE tenancy.placements SET next = $2 WHERE tenant_id = $1', [tenantId, next]);
    const source = new pg.Client({ connectionString: urlFor(platform.server.url, home.database) });
    await source.connect();
    await source.query(`UPDATE tenancy.tenant_gate SET generation = 2, state = 'closed'`);
    const answer = await Promise.race([write(tenantId, 'b').catch((error) => error.code), sleep(3_000, 'still asking')]);
    // Whatever it was before, it ends here.
    await source.query(`UPDATE tenancy.tenant_gate SET generation = 1, state = 'open'`);
    await source.end();
    await platform.admin.query('UPDATE tenancy.placements SET next = NULL WHERE tenant_id = $1', [tenantId]);
    expect(answer).toBe('placement.unavailable');
    expect(await notes(tenantId)).toEqual(['a']);
    await dropPlace(platform.places, home);
    await platform.admin.query(`DELETE FROM tenancy.servers WHERE name = 'away'`);
  });

  it('is found by the operator’s product, which is told the password', async () => {
    const place = await withNotes(isolatedOn('eu-1'), other.url);
    await platform.admin.query(`CREATE ROLE shop LOGIN PASSWORD 'shop' IN ROLE tenantry_product`);
    const url = urlFor(platform.server.url, 'tenantry', { user: 'shop', password: 'shop' });
    const shop = new pg.Pool({ connectionString: url, max: 1 });
    const passwordOf = async (tenantId: string) => {
      const { rows } = await platform.admin.query('SELECT login_secret FROM tenancy.placements WHERE tenant_id = $1', [tenantId]);
      return openLogin(testKeys, tenantId, rows[0].login_secret);
    };
    const product = new PostgresTenants({ pool: shop, url, keys: { passwordOf }, path: 'product' });
    await product.withTenant(place.tenantId, ({ client }) => client.query(`INSERT INTO notes VALUES ('from the shop')`));
    expect(await notes(place.tenantId)).toEqual(['from the shop']);
    await product.close();
    await shop.end();
    await dropPlace(platform.places, place);
  });

  it('takes no more tenants than it has room for, however many ask at once', async () => {
    const capacity = (name: string, region: string | null, most: number | null) =>
      platform.admin.query('UPDATE tenancy.servers SET region = $2, capacity = $3 WHERE name = $1', [name, region, most]);
    await capacity('eu-1', 'eu', 3);
    await capacity('default', 'us', null);
    const ids = Array.from({ length: 8 }, () => randomUUID());
    const wish = { region: 'eu', isolation: 'isolated' as const };
    const took = await Promise.all(ids.map((id) => refusal(takeRoom(platform.places.pool, id, wish))));
    expect(took.map(({ code }) => code).sort()).toEqual([...Array(3).fill('none'), ...Array(5).fill('placement.no_room')].sort());
    const inside = ids.filter((_, index) => took[index]!.code === 'none');
    expect(await takeRoom(platform.places.pool, inside[0]!, wish)).toEqual({ server: 'eu-1', database: null });
    expect((await refusal(takeRoomAt(platform.places.pool, randomUUID(), isolatedOn('eu-1')))).code).toBe('placement.no_room');
    await platform.admin.query('DELETE FROM tenancy.server_places WHERE tenant_id = ANY ($1)', [ids]);
    await Promise.all([capacity('eu-1', null, null), capacity('default', null, null)]);
  });
});
