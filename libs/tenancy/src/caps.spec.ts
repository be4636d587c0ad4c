import { randomUUID } from 'node:crypto';
import type { Isolation } from '@tenantry/contracts/values';
import { sql } from 'drizzle-orm';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { placementFor } from './names.js';
import { PostgresTenants } from './postgres-tenants.js';
import { createPlace } from './provision-schema.js';
import { type Platform, startPlatform, testKeys } from './spec/platform.js';

const CONNECTIONS = 2;
const WAITING = 12;

/** What one tenant may take, told by counting: in PostgreSQL itself, and by who comes in after whom. */
describe('a tenant that floods', () => {
  let platform: Platform;
  let pool: pg.Pool;
  let tenants: PostgresTenants;
  beforeAll(async () => {
    platform = await startPlatform();
    const url = platform.urlOf('billing');
    // No more connections than the flood may take: another tenant has to wait for one of them.
    pool = new pg.Pool({ connectionString: url, max: CONNECTIONS, application_name: 'caps' });
    const connections = { inUse: CONNECTIONS, waiting: WAITING, waitMs: 10_000 };
    tenants = new PostgresTenants({ pool, url, keys: testKeys, connections, statementTimeoutMs: 1_000 });
  });
  afterAll(async () => {
    await tenants.close();
    await pool.end();
    await platform.stop();
  });

  const placed = async (isolation: Isolation): Promise<string> => {
    const placement = placementFor(randomUUID(), isolation);
    await createPlace(platform.places, placement);
    return placement.tenantId;
  };
  const sleep = (tenantId: string, seconds: number) =>
    tenants.withTenant(tenantId, ({ db }) => db.execute(sql`SELECT pg_sleep(${seconds})`));
  const sleeping = async () =>
    (await platform.admin.query(`SELECT count(*)::int AS n FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'SELECT pg_sleep%'`))
      .rows[0].n as number;
  /** The most that sleep at once while `work` goes on. */
  const most = async (work: Promise<unknown>): Promise<number> => {
    let peak = 0;
    let going = true;
    void work.finally(() => {
      going = false;
    });
    while (going) peak = Math.max(peak, await sleeping());
    return peak;
  };

  it.each(['shared', 'dedicated', 'isolated'] as const)('has only its share of connections: %s', async (isolation) => {
    const flooding = await placed(isolation);
    const asked = Array.from({ length: 30 }, () =>
      sleep(flooding, 0.1).then(
        () => 'done',
        (error: { code?: string }) => error.code,
      ),
    );
    const all = Promise.all(asked);
    expect(await most(all)).toBe(CONNECTIONS);
    const outcomes = await all;
    expect(outcomes.filter((outcome) => outcome === 'done')).toHaveLength(CONNECTIONS + WAITING);
    expect(outcomes.filter((outcome) => outcome === 'tenant.busy')).toHaveLength(30 - CONNECTIONS - WAITING);
    expect(tenants.standing()).toMatchObject({ tenants: 0, inUse: 0, waiting: 0 });
  });

  it('lets another wait for one slot at most, even where it has taken every connection', async () => {
    const [flooding, other] = [await placed('dedicated'), await placed('shared')];
    let begun = 0;
    const one = () =>
      tenants.withTenant(flooding, ({ db }) => {
        begun += 1;
        return db.execute(sql`SELECT pg_sleep(0.1)`);
      });
    const flood = Array.from({ length: CONNECTIONS + WAITING }, one);
    const overtaken: number[] = [];
    for (let n = 0; n < 4; n++) {
      await new Promise((resolve) => setTimeout(resolve, 30));
      const before = begun;
      // Those of the flood that had their slot when it was asked for count too: they begin one round trip later.
      overtaken.push(await tenants.withTenant(other, async () => begun - before));
    }
    expect(begun).toBeLessThan(flood.length);
    expect(Math.max(...overtaken)).toBeLessThanOrEqual(1 + CONNECTIONS);
    await Promise.all(flood);
  });

  it('has its statements ended after their time, and the connection is free again', async () => {
    const flooding = await placed('dedicated');
    const outcomes = await Promise.all(
      Array.from({ length: CONNECTIONS }, () => sleep(flooding, 30).catch((error: { cause?: { code?: string } }) => error.cause?.code)),
    );
    expect(outcomes).toEqual(Array(CONNECTIONS).fill('57014'));
    expect(tenants.standing().inUse).toBe(0);
    await sleep(flooding, 0.01);
  });

  it('gives back what it failed to use', async () => {
    const nowhere = randomUUID();
    for (let n = 0; n < CONNECTIONS * 3; n++) await expect(sleep(nowhere, 0)).rejects.toMatchObject({ code: 'placement.not_found' });
    const failing = await placed('shared');
    for (let n = 0; n < CONNECTIONS * 3; n++)
      await expect(tenants.withTenant(failing, () => Promise.reject(new Error('mine')))).rejects.toThrow('mine');
    await sleep(failing, 0);
    expect(tenants.standing()).toMatchObject({ tenants: 0, inUse: 0, waiting: 0 });
  });
});
