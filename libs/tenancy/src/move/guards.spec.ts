import { randomUUID } from 'node:crypto';
import type { Isolation } from '@tenantry/contracts/values';
import { sql } from 'drizzle-orm';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { stampTables } from '../compile.js';
import { placementFor } from '../names.js';
import type { Placement } from '../placement.js';
import { PostgresTenants } from '../postgres-tenants.js';
import { createPlace } from '../provision-schema.js';
import { type Platform, startPlatform, testKeys } from '../spec/platform.js';
import { identifier, withNames } from '../sql.js';
import { abandon, catchUp, copy, fence, prepare, reopen, retire, switchBack, switchOver, verify } from './move.js';
import { type Move, onDatabase } from './side.js';
import { fingerprint, readStructure } from './structure.js';

const product = `CREATE TABLE people (tenant_id uuid NOT NULL DEFAULT current_setting('app.tenant_id')::uuid, id int NOT NULL, PRIMARY KEY (tenant_id, id));`;

describe('a move whose tables are changed around it', () => {
  let platform: Platform;
  let pool: pg.Pool;
  let tenants: PostgresTenants;
  beforeAll(async () => {
    platform = await startPlatform();
    const url = platform.urlOf('billing');
    pool = new pg.Pool({ connectionString: url, max: 4 });
    tenants = new PostgresTenants({ pool, url, keys: testKeys });
    await install('app_shared', 'tenantry_shared');
  }, 120_000);
  afterAll(async () => {
    await tenants?.close();
    await pool?.end();
    await platform?.stop();
  });
  const asOwner = (schema: string, text: string) =>
    platform.admin.query(`BEGIN; SET LOCAL ROLE tenantry_owner; SET LOCAL search_path = ${identifier(schema)}; ${text}; COMMIT`);
  const install = (schema: string, role: string) => asOwner(schema, `${product} ${withNames(stampTables(['people']), { role })}`);
  afterEach(() => asOwner('app_shared', 'ALTER TABLE people FORCE ROW LEVEL SECURITY; DROP FUNCTION IF EXISTS again() CASCADE'));

  const placed = async (isolation: Isolation, tenantId: string = randomUUID()): Promise<Placement> => {
    const placement = placementFor(tenantId, isolation);
    await createPlace(platform.places, placement);
    if (isolation !== 'shared') await install(placement.appSchema, placement.role);
    return { ...placement, ready: true };
  };
  const to = (from: Placement, isolation: Isolation): Move => ({
    from,
    to: { ...placementFor(from.tenantId, isolation, { generation: from.generation + 1 }), ready: true },
  });
  const add = ({ tenantId }: Placement, ...ids: number[]) =>
    tenants.withTenant(tenantId, ({ db }) =>
      db.execute(sql`INSERT INTO people SELECT current_setting('app.tenant_id')::uuid, unnest(${sql.param(ids)}::int[])`),
    );
  const ids = async ({ tenantId }: Placement) =>
    (await tenants.withTenant(tenantId, ({ db }) => db.execute<{ id: number }>(sql`SELECT id FROM people ORDER BY id`))).rows.map(
      ({ id }) => id,
    );
  const untilVerified = async (move: Move) => {
    const prepared = await prepare(platform.places, move);
    await copy(platform.places, move);
    await catchUp(platform.places, move);
    await fence(platform.places, move);
    await verify(platform.places, move);
    return prepared;
  };
  const undone = async (move: Move) => {
    await reopen(platform.places, move);
    await abandon(platform.places, move);
  };

  it('takes a structure for the same, in whatever order PostgreSQL finds its parts', async () => {
    const place = await placed('dedicated');
    const tables = ['a', 'b', 'c', 'd'].map((name) => `CREATE TABLE ${name} (id int PRIMARY KEY);`);
    await asOwner(
      place.appSchema,
      `CREATE DOMAIN small AS int CONSTRAINT z CHECK (VALUE < 9) CONSTRAINT a CHECK (VALUE > 1) CONSTRAINT m CHECK (VALUE <> 5); ${tables.join(' ')}
       GRANT SELECT, INSERT, UPDATE, DELETE ON a, b, c, d TO ${identifier(place.role)}`,
    );
    const found = new Set<string>();
    // As statistics change, so do plans.
    for (const off of [[], ['hashagg'], ['nestloop', 'mergejoin'], ['hashagg', 'nestloop', 'hashjoin']]) {
      const settings = off.map((one) => `ALTER ROLE tenantry_provisioning SET enable_${one} = off`);
      await platform.admin.query(['ALTER ROLE tenantry_provisioning RESET ALL', ...settings].join('; '));
      found.add(await onDatabase(platform.places, place, async (client) => fingerprint(await readStructure(client, place))));
    }
    await platform.admin.query('ALTER ROLE tenantry_provisioning RESET ALL');
    expect(found.size).toBe(1);
  });

  it('notes the rows of each of two tenants whose ids begin alike, side by side in the shared tables', async () => {
    const [one, two] = [
      await placed('shared', `0badcafe${randomUUID().slice(8)}`),
      await placed('shared', `0badcafe${randomUUID().slice(8)}`),
    ];
    const moves = [to(one, 'dedicated'), to(two, 'dedicated')] as const;
    const prepared = [await untilVerified(moves[0]), await untilVerified(moves[1])] as const;
    await add(one, 1);
    await add(two, 2);
    await switchOver(platform.places, moves[0], prepared[0]);
    await switchOver(platform.places, moves[1], prepared[1]);
    expect([await ids(one), await ids(two)]).toEqual([[1], [2]]);
    for (const move of moves) await retire(platform.places, move);
  }, 60_000);

  it('takes nothing from shared tables that would show other tenants’ rows, and empties none that would lose them', async () => {
    const [other, from] = [await placed('shared'), await placed('shared')];
    await add(other, 1, 2);
    await add(from, 3);
    const out = to(from, 'dedicated');
    await prepare(platform.places, out);
    await asOwner('app_shared', 'ALTER TABLE people NO FORCE ROW LEVEL SECURITY');
    await expect(copy(platform.places, out)).rejects.toMatchObject({ code: 'placement.not_movable' });
    await asOwner('app_shared', 'ALTER TABLE people FORCE ROW LEVEL SECURITY');
    await undone(out);

    const inwards = to(await placed('dedicated'), 'shared');
    await prepare(platform.places, inwards);
    await asOwner('app_shared', 'ALTER TABLE people NO FORCE ROW LEVEL SECURITY');
    await expect(copy(platform.places, inwards)).rejects.toMatchObject({ code: 'placement.not_movable' });
    await asOwner('app_shared', 'ALTER TABLE people FORCE ROW LEVEL SECURITY');
    await undone(inwards);
    expect([await ids(other), await ids(from)]).toEqual([[1, 2], [3]]);
  }, 60_000);

  it('does not go back into shared tables that have triggers by now, until they are gone', async () => {
    const from = await placed('shared');
    await add(from, 1);
    const move = to(from, 'dedicated');
    await switchOver(platform.places, move, await untilVerified(move));
    await add(from, 5);
    // Each row that is copied would bring another.
    await asOwner(
      'app_shared',
      `CREATE FUNCTION again() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
         INSERT INTO app_shared.people (id) VALUES (NEW.id + 100) ON CONFLICT DO NOTHING; RETURN NEW; END $$;
       CREATE TRIGGER again AFTER INSERT ON people FOR EACH ROW WHEN (NEW.id < 100) EXECUTE FUNCTION again()`,
    );
    await expect(switchBack(platform.places, move)).rejects.toMatchObject({ code: 'placement.not_movable' });
    expect(await ids(from)).toEqual([1, 5]);
    await asOwner('app_shared', 'DROP FUNCTION again() CASCADE');
    expect(await switchBack(platform.places, move)).toMatchObject({ isolation: 'shared' });
    expect(await ids(from)).toEqual([1, 5]);
    await abandon(platform.places, move);
  }, 60_000);

  it('brings back no rows that were emptied out of a table, and is refused where a table was made anew', async () => {
    const from = await placed('shared');
    await add(from, 1);
    const out = to(from, 'dedicated');
    const prepared = await untilVerified(out);
    await asOwner('app_shared', 'TRUNCATE people');
    await add(from, 2);
    await switchOver(platform.places, out, prepared);
    expect(await ids(from)).toEqual([2]);
    await retire(platform.places, out);

    const away = to(out.to, 'isolated');
    const again = await untilVerified(away);
    await asOwner(out.to.appSchema, `DROP TABLE people; ${product} ${withNames(stampTables(['people']), { role: out.to.role })}`);
    await add(out.to, 3);
    await expect(switchOver(platform.places, away, again)).rejects.toMatchObject({ code: 'placement.not_movable' });
    expect(await ids(out.to)).toEqual([3]);
    await undone(away);
  }, 60_000);
});
