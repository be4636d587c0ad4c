import { randomUUID } from 'node:crypto';
import { type Cycle, localDay, periodAt } from '@tenantry/contracts/billing/period';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type LedgerDatabase, startLedgerDatabase } from './ledger.fixture.js';
import { Ledger } from './ledger.js';

let database: LedgerDatabase;
let ledger: Ledger;
beforeAll(async () => {
  database = await startLedgerDatabase();
  ledger = new Ledger(database);
}, 120_000);
afterAll(() => database?.stop());

// Counters of a pool go by the database's clock as well.
const now = new Date().toISOString();
const cycle: Cycle = { startsAt: new Date(Date.now() - 3_600_000).toISOString(), trialEndsAt: null, timezone: 'UTC' };
/** A year ago: a period that is long over. */
const old: Cycle = { ...cycle, startsAt: new Date(Date.now() - 366 * 86_400_000).toISOString() };

const assigned = async (limit: number | null, { parentId = null as string | null, pools = false, from = cycle } = {}) => {
  const tenantId = randomUUID();
  const quotas = [
    { resource: 'users', kind: 'gauge', unit: 'count', limit },
    { resource: 'api_calls', kind: 'counter', unit: 'count', limit },
  ];
  await ledger.assign({ tenantId, position: 1, cycle: from, retentionDays: 30, quotas, parentId, pools });
  return tenantId;
};
const change = async (tenantId: string, amount: number, resource = 'users') =>
  (
    await ledger.change({
      ...{ tenantId, resource, amount, now, commandId: randomUUID(), requestHash: 'r', description: undefined },
      ...{ day: localDay(now, cycle.timezone), period: periodAt(cycle, now) },
    })
  ).outcome;
const standing = async (tenantId: string, resource = 'users') => (await ledger.standings(tenantId, now, resource))?.[0];

describe('a reseller that pools its limits', () => {
  it('bounds the sum of what it and its children use', async () => {
    const reseller = await assigned(10, { pools: true });
    const [one, two] = [await assigned(8, { parentId: reseller }), await assigned(8, { parentId: reseller })];
    expect([await change(one, 6), await change(reseller, 2), await change(two, 3), await change(two, 2)]).toEqual([
      'changed',
      'changed',
      'pool_exceeded',
      'changed',
    ]);
    expect([await change(reseller, 1), await change(one, 3)]).toEqual(['pool_exceeded', 'exceeded']);
    expect(await standing(reseller)).toMatchObject({ used: 10, limit: 10 });
    expect(await standing(one)).toMatchObject({ used: 6, limit: 8, poolLeft: 0 });
    expect(await change(one, -4)).toBe('changed');
    expect(await change(two, 4)).toBe('changed');
  });
  it('never passes its limit, whatever its children do at once', async () => {
    const reseller = await assigned(50, { pools: true });
    const children = await Promise.all(Array.from({ length: 5 }, () => assigned(null, { parentId: reseller })));
    const outcomes = await Promise.all(
      Array.from({ length: 120 }, (_, n) => change(n % 6 === 5 ? reseller : (children[n % 6] as string), 1)),
    );
    expect(outcomes.filter((outcome) => outcome === 'changed')).toHaveLength(50);
    expect((await standing(reseller))?.used).toBe(50);
  });
  it('leaves nothing behind of a refused use', async () => {
    const reseller = await assigned(1, { pools: true });
    const child = await assigned(10, { parentId: reseller });
    expect(await change(child, 2)).toBe('pool_exceeded');
    expect(await standing(child)).toMatchObject({ used: 0, poolLeft: 1 });
    expect(await ledger.countLogs(child)).toBe(0);
  });
  it('has free again what a child held when it ended, and keeps what it consumed', async () => {
    const reseller = await assigned(10, { pools: true });
    const child = await assigned(10, { parentId: reseller });
    await change(child, 7);
    await change(child, 7, 'api_calls');
    await ledger.withdraw(child, 2);
    expect((await standing(reseller))?.used).toBe(0);
    expect((await standing(reseller, 'api_calls'))?.used).toBe(7);
  });
  it('begins its counters again with its own period, also where a child is the first to notice', async () => {
    const reseller = await assigned(10, { pools: true, from: old });
    const child = await assigned(null, { parentId: reseller });
    expect(await change(child, 10, 'api_calls')).toBe('changed');
    expect(await change(child, 1, 'api_calls')).toBe('pool_exceeded');
    expect(await standing(reseller, 'api_calls')).toMatchObject({ used: 10 });
  });
  it('counts what children used before it pooled, once its plan does', async () => {
    const reseller = await assigned(10);
    const child = await assigned(null, { parentId: reseller });
    expect(await change(child, 30)).toBe('changed');
    expect(await standing(reseller)).toMatchObject({ used: 0 });
    const quotas = [{ resource: 'users', kind: 'gauge', unit: 'count', limit: 31 }];
    await ledger.relimit({ tenantId: reseller, position: 2, retentionDays: 30, quotas, pools: true });
    expect(await standing(reseller)).toMatchObject({ used: 30, limit: 31 });
    expect([await change(child, 1), await change(child, 1)]).toEqual(['changed', 'pool_exceeded']);
  });
  it('is the sum of its children, whatever they do', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.tuple(
            fc.nat(3),
            fc.integer({ min: -4, max: 4 }).filter((n) => n !== 0),
          ),
          { maxLength: 25 },
        ),
        async (steps) => {
          const reseller = await assigned(9, { pools: true });
          const all = [reseller, ...(await Promise.all([6, 4, null].map((limit) => assigned(limit, { parentId: reseller }))))];
          for (const [who, amount] of steps) await change(all[who] as string, amount);
          const { rows } = await database.pool.query(
            'SELECT tenant_id, used, pooled FROM quota_metering.quotas WHERE resource = $1 AND tenant_id = ANY($2)',
            ['users', all],
          );
          const own = (id: string) => rows.find((row) => row.tenant_id === id);
          const children = all.slice(1).reduce((sum, id) => sum + Number(own(id).used), 0);
          expect(Number(own(reseller).pooled)).toBe(children);
          expect(Number(own(reseller).used) + children).toBeLessThanOrEqual(9);
        },
      ),
      { numRuns: 15 },
    );
  });
});
