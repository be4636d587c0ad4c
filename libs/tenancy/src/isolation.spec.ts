import { randomUUID } from 'node:crypto';
import type { Isolation } from '@tenantry/contracts/values';
import { eventually } from '@tenantry/testing/eventually';
import { sql } from 'drizzle-orm';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { urlFor } from './login-secret.js';
import { placementFor } from './names.js';
import type { Placement } from './placement.js';
import { PostgresTenants } from './postgres-tenants.js';
import { createPlace, dropPlace } from './provision-schema.js';
import { type Platform, startPlatform, testKeys } from './spec/platform.js';

const levels: Isolation[] = ['shared', 'dedicated', 'isolated'];
const insert = (tenantId: string) =>
  sql`INSERT INTO checkpoints (tenant_id, consumer, version, position, event_id) VALUES (${tenantId}, 'spec', '1', 7, ${randomUUID()})`;

describe('isolation', () => {
  let platform: Platform;
  let pool: pg.Pool;
  let tenants: PostgresTenants;
  beforeAll(async () => {
    platform = await startPlatform();
    const url = platform.urlOf('billing');
    pool = new pg.Pool({ connectionString: url, max: 4 });
    tenants = new PostgresTenants({ pool, url, keys: testKeys, gate: { waitMs: 400, probeMs: 20, waiters: 3 } });
  });
  afterAll(async () => {
    await tenants.close();
    await pool.end();
    await platform.stop();
  });

  const placed = async (isolation: Isolation): Promise<Placement> => {
    const placement = placementFor(randomUUID(), isolation);
    await createPlace(platform.places, placement);
    await tenants.withTenant(placement.tenantId, ({ db }) => db.execute(insert(placement.tenantId)));
    return placement;
  };
  const count = (tenantId: string, query = sql`SELECT count(*)::int AS n FROM checkpoints`) =>
    tenants.withTenant(tenantId, async ({ db }) => (await db.execute<{ n: number }>(query)).rows[0]!.n);
  /** The tenant's own role and search path, without its `app.tenant_id`: a mistake that a program could make. */
  const asRole = async (placement: Placement, statements: string) => {
    const client = new pg.Client({
      connectionString:
        placement.isolation === 'isolated' ? urlFor(platform.server.url, placement.database) : urlFor(platform.server.url, 'tenantry'),
    });
    await client.connect();
    try {
      return await client.query(`BEGIN; SET LOCAL ROLE "${placement.role}"; SET LOCAL search_path = "${placement.schema}"; ${statements}`);
    } finally {
      await client.end();
    }
  };

  describe("a tenant's own database", () => {
    const admit = (placement: Placement, allow: boolean) =>
      platform.admin.query(`ALTER DATABASE "${placement.database}" ALLOW_CONNECTIONS ${allow}`);
    const end = (placement: Placement) =>
      platform.admin.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1', [placement.database]);
    const timed = async (tenantId: string) => {
      const begun = performance.now();
      const outcome = await count(tenantId).catch((error: unknown) => error as { code?: string });
      return { outcome, tookMs: performance.now() - begun };
    };

    it('that is down is left alone at once, is asked again after a while, and concerns nobody else', async () => {
      const [down, other] = [await placed('isolated'), await placed('isolated')];
      await admit(down, false);
      await end(down);
      const { outcome: first } = await timed(down.tenantId);
      expect(first).toMatchObject({
        ...{ code: 'placement.unavailable', retryAfterSeconds: 1 },
        cause: { code: expect.stringMatching(/^(55000|57P01|08006|ECONN.*)$/) },
      });
      for (let n = 0; n < 20; n++) {
        const { outcome, tookMs } = await timed(down.tenantId);
        expect(outcome).toMatchObject({ code: 'placement.unavailable' });
        expect(tookMs).toBeLessThan(100);
      }
      expect((await timed(other.tenantId)).outcome).toBe(1);
      await admit(down, true);
      await eventually(async () => (await timed(down.tenantId)).outcome === 1, { timeoutMs: 8_000 });
    });

    it('that keeps silent is given up after the time that a statement may take', async () => {
      const hanging = await placed('isolated');
      const url = platform.urlOf('billing');
      const impatient = new PostgresTenants({ pool, url, keys: testKeys, statementTimeoutMs: 300 });
      try {
        const silent = impatient.withTenant(hanging.tenantId, async ({ client }) => {
          const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
          const { pid } = rows[0]!;
          process.kill(pid, 'SIGSTOP');
          setTimeout(() => process.kill(pid, 'SIGCONT'), 4_000);
          return client.query('SELECT 1');
        });
        await expect(silent).rejects.toThrow('timeout');
        const begun = performance.now();
        await expect(impatient.withTenant(hanging.tenantId, async () => 1)).rejects.toMatchObject({ code: 'placement.unavailable' });
        expect(performance.now() - begun).toBeLessThan(100);
      } finally {
        await impatient.close();
      }
    }, 15_000);
  });

  describe.each(levels)('%s', (isolation) => {
    let a: Placement;
    let b: Placement;
    beforeAll(async () => {
      [a, b] = await Promise.all([placed(isolation), placed(isolation)]);
    });

    it('reads and writes the rows of the tenant itself', async () => {
      expect(await count(a.tenantId)).toBe(1);
    });

    it('fails without a tenant context', async () => {
      await expect(asRole(a, 'SELECT FROM checkpoints')).rejects.toThrow('app.tenant_id');
      // Once a connection has had a context, the setting is there, but empty.
      await expect(
        asRole(
          a,
          `SET LOCAL app.tenant_id = '${a.tenantId}'; ROLLBACK; BEGIN; SET LOCAL ROLE "${a.role}"; SELECT FROM "${a.schema}".checkpoints`,
        ),
      ).rejects.toThrow('invalid input syntax for type uuid');
    });

    it("reads nothing in another tenant's context", async () => {
      const result = await asRole(
        a,
        `SET LOCAL app.tenant_id = '${b.tenantId}'; SELECT * FROM checkpoints WHERE tenant_id = '${a.tenantId}'`,
      );
      expect((result as unknown as pg.QueryResult[]).at(-1)!.rows).toEqual([]);
    });

    it('does not see, change or make rows that name another tenant', async () => {
      expect(await count(a.tenantId, sql`SELECT count(*)::int AS n FROM checkpoints WHERE tenant_id = ${b.tenantId}`)).toBe(0);
      await tenants.withTenant(a.tenantId, async ({ db }) => {
        expect((await db.execute(sql`UPDATE checkpoints SET position = 0 WHERE tenant_id = ${b.tenantId}`)).rowCount).toBe(0);
        expect((await db.execute(sql`DELETE FROM checkpoints WHERE tenant_id = ${b.tenantId}`)).rowCount).toBe(0);
      });
      await expect(tenants.withTenant(a.tenantId, ({ db }) => db.execute(insert(b.tenantId)))).rejects.toMatchObject({
        cause: { message: expect.stringContaining('row-level security') },
      });
      expect(await count(b.tenantId)).toBe(1);
    });

    if (isolation !== 'shared')
      it("cannot name another tenant's schema", async () => {
        await expect(tenants.withTenant(a.tenantId, ({ client }) => client.query(`SELECT FROM "${b.schema}".checkpoints`))).rejects.toThrow(
          isolation === 'dedicated' ? 'permission denied for schema' : 'does not exist',
        );
      });

    it('has no rights on the platform', async () => {
      for (const table of ['log.events', 'tenancy.placements', 'billing.checkpoints', 'tenancy.migrations'])
        await expect(tenants.withTenant(a.tenantId, ({ client }) => client.query(`SELECT FROM ${table}`))).rejects.toThrow(
          /permission denied|does not exist/,
        );
      for (const statement of [
        'CREATE TABLE mine (id int)',
        `CREATE TABLE ${a.schema}.mine (id int)`,
        'ALTER TABLE checkpoints NO FORCE ROW LEVEL SECURITY',
        'TRUNCATE checkpoints',
      ])
        await expect(tenants.withTenant(a.tenantId, ({ client }) => client.query(statement))).rejects.toThrow(
          /permission denied|must be owner|no schema has been selected/,
        );
    });

    it('has forced row-level security and one policy on every table', async () => {
      const client = new pg.Client({ connectionString: urlFor(platform.server.url, a.database) });
      await client.connect();
      try {
        const { rows } = await client.query<{ relname: string; forced: boolean; policies: number }>(
          `SELECT relname, relrowsecurity AND relforcerowsecurity AS forced,
             (SELECT count(*)::int FROM pg_policy WHERE polrelid = c.oid) AS policies
           FROM pg_class c WHERE relnamespace = $1::regnamespace AND relkind = 'r'`,
          [a.schema],
        );
        expect(rows.length).toBeGreaterThan(0);
        for (const row of rows) expect(row, row.relname).toMatchObject({ forced: true, policies: 1 });
      } finally {
        await client.end();
      }
    });

    it('leaves nothing on the connection after the transaction', async () => {
      const url = isolation === 'isolated' ? undefined : platform.urlOf('billing');
      if (!url) return void expect(await count(a.tenantId)).toBe(1);
      const one = new pg.Pool({ connectionString: url, max: 1 });
      const own = new PostgresTenants({ pool: one, url, keys: testKeys });
      await own.withTenant(a.tenantId, ({ db }) => db.execute(sql`SELECT 1`));
      const { rows } = await one.query(
        `SELECT current_user AS role, current_setting('search_path') AS path, current_setting('app.tenant_id', true) AS tenant`,
      );
      expect(rows[0]).toEqual({ role: 'tenantry_billing', path: '"$user", public', tenant: '' });
      await own.close();
      await one.end();
    });

    it('is made once, however often and at the same time', async () => {
      const placement = placementFor(randomUUID(), isolation);
      const outcomes = await Promise.all([1, 2, 3].map(() => createPlace(platform.places, placement)));
      expect(outcomes.some((outcome) => outcome.created)).toBe(true);
      expect(await createPlace(platform.places, placement)).toEqual({ created: false });
      await tenants.withTenant(placement.tenantId, ({ db }) => db.execute(insert(placement.tenantId)));
      expect(await count(placement.tenantId)).toBe(1);
    });

    it('goes without a trace, can go again, and can be made again', async () => {
      const placement = await placed(isolation);
      await dropPlace(platform.places, placement);
      await dropPlace(platform.places, placement);
      await expect(count(placement.tenantId)).rejects.toMatchObject({ code: 'placement.not_found' });
      const { rows } = await platform.admin.query(
        `SELECT (SELECT count(*)::int FROM pg_roles WHERE rolname = $1 AND rolname <> 'tenantry_shared')
           + (SELECT count(*)::int FROM pg_namespace WHERE nspname IN ($2, $3) AND nspname NOT LIKE '%shared')
           + (SELECT count(*)::int FROM pg_database WHERE datname = $4 AND datname <> 'tenantry')
           + (SELECT count(*)::int FROM tenancy.placements WHERE tenant_id = $5)
           + (SELECT count(*)::int FROM tenancy.tenant_gate WHERE tenant_id = $5)
           + (SELECT count(*)::int FROM shared.checkpoints WHERE tenant_id = $5) AS left`,
        [placement.role, placement.schema, placement.appSchema, placement.database, placement.tenantId],
      );
      expect(rows).toEqual([{ left: 0 }]);
      await createPlace(platform.places, placement);
      expect(await count(placement.tenantId)).toBe(0);
    });
  });

  it('makes twenty tenants at once', async () => {
    const all = Array.from({ length: 20 }, (_, at) => placementFor(randomUUID(), at % 10 === 0 ? 'isolated' : 'dedicated'));
    const outcomes = await Promise.all(all.map((placement) => createPlace(platform.places, placement)));
    expect(outcomes.every((outcome) => outcome.created)).toBe(true);
    expect(await Promise.all(all.map(({ tenantId }) => count(tenantId)))).toEqual(all.map(() => 0));
  });

  it("refuses a name that is somebody else's", async () => {
    const a = await placed('dedicated');
    const thief = { ...placementFor(randomUUID(), 'dedicated'), schema: a.schema };
    await expect(createPlace(platform.places, thief)).rejects.toThrow("is not this placement's");
    expect(await tenants.placement(thief.tenantId)).toBeNull();
    expect(await count(a.tenantId)).toBe(1);
  });

  describe("an isolated tenant's login", () => {
    it('cannot leave its database, nor become anybody else', async () => {
      const [a, b] = await Promise.all([placed('isolated'), placed('isolated')]);
      const { rows } = await platform.admin.query<{ login_secret: string }>(
        'SELECT login_secret FROM tenancy.placements WHERE tenant_id = $1',
        [a.tenantId],
      );
      const password = await testKeys.reveal<string>(a.tenantId, JSON.parse(rows[0]!.login_secret));
      const login = { user: a.role, password };
      for (const database of ['tenantry', 'postgres', 'template1', b.database]) {
        const client = new pg.Client({ connectionString: urlFor(platform.server.url, database, login) });
        await expect(client.connect(), database).rejects.toThrow('permission denied for database');
      }
      const client = new pg.Client({ connectionString: urlFor(platform.server.url, a.database, login) });
      await client.connect();
      try {
        for (const role of [
          'tenantry_owner',
          'tenantry_services',
          'tenantry_bucket_0',
          'tenantry_shared',
          'tenantry_provisioning',
          b.role,
          'postgres',
        ])
          await expect(client.query(`SET ROLE "${role}"`), role).rejects.toThrow('permission denied');
        for (const statement of [
          'CREATE SCHEMA mine',
          'CREATE TABLE public.mine (id int)',
          'CREATE EXTENSION dblink',
          "COPY (SELECT 1) TO PROGRAM 'true'",
          "SELECT pg_read_file('postgresql.conf')",
          'DELETE FROM tenancy.tenant_gate',
          'CREATE TEMP TABLE mine (id int)',
        ])
          await expect(client.query(statement), statement).rejects.toThrow(/permission denied|must be|Must be/);
      } finally {
        await client.end();
      }
    });
  });

  describe('the gate', () => {
    const gate = (tenantId: string, state: string) =>
      platform.admin.query('UPDATE tenancy.tenant_gate SET state = $2 WHERE tenant_id = $1', [tenantId, state]);

    it('lets callers wait without a connection, and in again when it opens', async () => {
      const a = await placed('dedicated');
      await gate(a.tenantId, 'closed');
      const waiting = [count(a.tenantId), count(a.tenantId)];
      await new Promise((resolve) => setTimeout(resolve, 100));
      // Between two tries; at this very instant one of them may be trying.
      await eventually(async () => pool.idleCount === pool.totalCount, { intervalMs: 3 });
      await gate(a.tenantId, 'open');
      expect(await Promise.all(waiting)).toEqual([1, 1]);
    });

    it('refuses after the wait, and at once when too many wait', async () => {
      const a = await placed('dedicated');
      await gate(a.tenantId, 'closed');
      const started = performance.now();
      const outcomes = await Promise.allSettled(Array.from({ length: 10 }, () => count(a.tenantId)));
      expect(outcomes.every((outcome) => outcome.status === 'rejected' && outcome.reason.code === 'placement.closed')).toBe(true);
      expect(performance.now() - started).toBeLessThan(2_000);
      await gate(a.tenantId, 'open');
      expect(await count(a.tenantId)).toBe(1);
    });

    it("is closed while a move holds the tenant's lock", async () => {
      const a = await placed('dedicated');
      await platform.admin.query('SELECT pg_advisory_lock(tenancy.tenant_lock($1))', [a.tenantId]);
      await expect(count(a.tenantId)).rejects.toMatchObject({ code: 'placement.closed' });
      await platform.admin.query('SELECT pg_advisory_unlock(tenancy.tenant_lock($1))', [a.tenantId]);
      expect(await count(a.tenantId)).toBe(1);
    });

    it('is looked at anew in each transaction, whatever isolation the login has by default', async () => {
      const { tenantId } = await placed('shared');
      const strict = new pg.Pool({
        connectionString: platform.urlOf('billing'),
        max: 1,
        options: '-c default_transaction_isolation=repeatable\\ read',
      });
      const theirs = new PostgresTenants({ pool: strict, url: platform.urlOf('billing'), keys: testKeys });
      try {
        const level = await theirs.withTenant(tenantId, async ({ client }) => (await client.query('SHOW transaction_isolation')).rows[0]);
        expect(level).toEqual({ transaction_isolation: 'read committed' });
      } finally {
        await strict.end();
      }
    });

    it('refuses an old placement, which is then read again', async () => {
      const a = await placed('dedicated');
      await platform.admin.query('UPDATE tenancy.tenant_gate SET generation = 2 WHERE tenant_id = $1', [a.tenantId]);
      await expect(count(a.tenantId)).rejects.toMatchObject({ code: 'placement.not_found' });
      await platform.admin.query('UPDATE tenancy.placements SET generation = 2 WHERE tenant_id = $1', [a.tenantId]);
      expect(await count(a.tenantId)).toBe(1);
      expect((await tenants.placement(a.tenantId))?.generation).toBe(2);
    });
  });

  describe('a transaction', () => {
    it('is undone when the work fails', async () => {
      const a = await placed('shared');
      await expect(
        tenants.withTenant(a.tenantId, async ({ db }) => {
          await db.execute(sql`DELETE FROM checkpoints`);
          throw new Error('no');
        }),
      ).rejects.toThrow('no');
      expect(await count(a.tenantId)).toBe(1);
    });

    it('fails alone when its connection is cut', async () => {
      const a = await placed('shared');
      await expect(
        tenants.withTenant(a.tenantId, async ({ client }) => {
          const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
          await platform.admin.query('SELECT pg_terminate_backend($1)', [rows[0]!.pid]);
          await new Promise((resolve) => setTimeout(resolve, 50));
          await client.query('SELECT 1');
        }),
      ).rejects.toThrow();
      expect(await count(a.tenantId)).toBe(1);
    });

    it('does not pass for committed where a statement failed unnoticed', async () => {
      const a = await placed('shared');
      await expect(
        tenants.withTenant(a.tenantId, async ({ client }) => {
          await client.query('SELECT 1 / 0').catch(() => undefined);
        }),
      ).rejects.toThrow('nothing was committed');
    });

    it('has no place before the place exists', async () => {
      const unknown = randomUUID();
      expect(await tenants.placement(unknown)).toBeNull();
      await expect(count(unknown)).rejects.toMatchObject({ code: 'placement.not_found' });
      await expect(count("'; DROP SCHEMA shared; --")).rejects.toMatchObject({ code: 'placement.not_found' });
      await createPlace(platform.places, placementFor(unknown, 'shared'));
      expect(await count(unknown)).toBe(0);
    });

    it('ends on a new connection after many tenants', async () => {
      const url = platform.urlOf('audit');
      const one = new pg.Pool({ connectionString: url, max: 1 });
      const worn = new PostgresTenants({ pool: one, url, keys: testKeys, tenantsPerConnection: 2 });
      const pids: number[] = [];
      for (const { tenantId } of await Promise.all(['dedicated', 'dedicated', 'dedicated'].map((level) => placed(level as Isolation))))
        pids.push(
          await worn.withTenant(tenantId, async ({ client }) => (await client.query('SELECT pg_backend_pid() AS pid')).rows[0].pid),
        );
      expect(pids[0]).toBe(pids[1]);
      expect(pids[2]).not.toBe(pids[1]);
      await worn.close();
      await one.end();
    });
  });
});
