import { randomUUID } from 'node:crypto';
import { type Cycle, localDay, periodAt } from '@tenantry/contracts/billing/period';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Calendars } from './calendars.js';
import { type LedgerDatabase, startLedgerDatabase } from './ledger.fixture.js';
import { type Assignment, type Change, Ledger } from './ledger.js';

let database: LedgerDatabase;
let ledger: Ledger;
beforeAll(async () => {
  database = await startLedgerDatabase();
  ledger = new Ledger(database);
}, 120_000);
afterAll(() => database?.stop());

const start = '2026-01-31T09:00:00.000Z';
const cycle: Cycle = { startsAt: start, trialEndsAt: null, timezone: 'America/New_York' };
const assignment = (change: Partial<Assignment> = {}): Assignment => ({
  tenantId: randomUUID(),
  position: 5,
  cycle,
  retentionDays: 90,
  parentId: null,
  pools: false,
  quotas: [
    { resource: 'users', kind: 'gauge', unit: 'count', limit: 10 },
    { resource: 'api_calls', kind: 'counter', unit: 'count', limit: 100 },
    { resource: 'bandwidth', kind: 'counter', unit: 'bytes', limit: null },
  ],
  ...change,
});
const tenant = async (change?: Partial<Assignment>) => {
  const given = assignment(change);
  await ledger.assign(given);
  return given.tenantId;
};
const changing = (tenantId: string, resource: string, amount: number, change: Partial<Change> = {}): Change => {
  const now = change.now ?? '2026-02-01T12:00:00.000Z';
  return {
    tenantId,
    resource,
    amount,
    commandId: randomUUID(),
    requestHash: 'request',
    description: undefined,
    now,
    day: localDay(now, cycle.timezone),
    period: periodAt(cycle, now),
    ...change,
  };
};
const used = async (tenantId: string, resource: string, now = '2026-02-01T12:00:00.000Z') =>
  (await ledger.standings(tenantId, now, resource))?.[0]?.used;

describe('consuming', () => {
  it('adds up to the limit and not beyond', async () => {
    const id = await tenant();
    expect(await ledger.change(changing(id, 'users', 10))).toMatchObject({ outcome: 'changed', used: 10, limit: 10 });
    expect(await ledger.change(changing(id, 'users', 1))).toMatchObject({ outcome: 'exceeded', used: 10, limit: 10, periodEnd: null });
    expect(await used(id, 'users')).toBe(10);
  });

  it('takes all of an amount or nothing', async () => {
    const id = await tenant();
    await ledger.change(changing(id, 'users', 8));
    expect((await ledger.change(changing(id, 'users', 3))).outcome).toBe('exceeded');
    expect((await ledger.change(changing(id, 'users', 2))).outcome).toBe('changed');
  });

  it('never passes a hard limit, whatever the concurrency', async () => {
    const id = await tenant();
    const outcomes = await Promise.all(Array.from({ length: 50 }, () => ledger.change(changing(id, 'api_calls', 3))));
    expect(outcomes.filter(({ outcome }) => outcome === 'changed')).toHaveLength(33);
    expect(outcomes.filter(({ outcome }) => outcome === 'exceeded')).toHaveLength(17);
    expect(await used(id, 'api_calls')).toBe(99);
    expect(await ledger.countLogs(id)).toBe(33);
    const results = outcomes.flatMap((result) => (result.outcome === 'changed' ? [result.used] : []));
    expect(results.sort((one, other) => one - other)).toEqual(Array.from({ length: 33 }, (_, index) => (index + 1) * 3));
  });

  it('is unlimited without a limit, up to what a JSON number can say exactly', async () => {
    const id = await tenant();
    expect(await ledger.change(changing(id, 'bandwidth', Number.MAX_SAFE_INTEGER))).toMatchObject({
      outcome: 'changed',
      used: Number.MAX_SAFE_INTEGER,
      limit: null,
    });
    expect((await ledger.change(changing(id, 'bandwidth', 1))).outcome).toBe('too_large');
  });

  it('counts for one tenant only', async () => {
    const [one, other] = [await tenant(), await tenant()];
    await ledger.change(changing(one, 'users', 4));
    expect(await used(one, 'users')).toBe(4);
    expect(await used(other, 'users')).toBe(0);
  });

  it('tells an unknown resource from a tenant without quotas', async () => {
    expect((await ledger.change(changing(await tenant(), 'unicorns', 1))).outcome).toBe('unknown_resource');
    expect((await ledger.change(changing(randomUUID(), 'users', 1))).outcome).toBe('unassigned');
  });
});

describe('a repeated command', () => {
  it('gets the first result and counts once', async () => {
    const id = await tenant();
    const first = changing(id, 'users', 4, { commandId: 'the-key' });
    await ledger.change(first);
    await ledger.change(changing(id, 'users', 6));
    expect(await ledger.change(first)).toMatchObject({ outcome: 'repeated', used: 4, limit: 10 });
    expect(await used(id, 'users')).toBe(10);
  });

  it('counts once when all of its copies come at the same time', async () => {
    const id = await tenant();
    const same = changing(id, 'api_calls', 7, { commandId: 'the-key' });
    const outcomes = await Promise.all(Array.from({ length: 50 }, () => ledger.change(same)));
    expect(outcomes.filter(({ outcome }) => outcome === 'changed')).toHaveLength(1);
    expect(outcomes.filter(({ outcome }) => outcome === 'repeated')).toHaveLength(49);
    expect(await used(id, 'api_calls')).toBe(7);
    expect(await ledger.countLogs(id)).toBe(1);
  });

  it('is refused with another request, also for another resource at the same time', async () => {
    const id = await tenant();
    await ledger.change(changing(id, 'users', 4, { commandId: 'the-key' }));
    expect((await ledger.change(changing(id, 'users', 4, { commandId: 'the-key', requestHash: 'another' }))).outcome).toBe('mismatch');
    const both = await Promise.all([
      ledger.change(changing(id, 'users', 1, { commandId: 'two', requestHash: 'a' })),
      ledger.change(changing(id, 'api_calls', 1, { commandId: 'two', requestHash: 'b' })),
    ]);
    expect(both.map(({ outcome }) => outcome).sort()).toEqual(['changed', 'mismatch']);
    expect(((await used(id, 'users')) as number) + ((await used(id, 'api_calls')) as number)).toBe(5);
  });

  it('is decided anew after a refusal', async () => {
    const id = await tenant();
    await ledger.change(changing(id, 'users', 10));
    const refused = changing(id, 'users', 2, { commandId: 'the-key' });
    expect((await ledger.change(refused)).outcome).toBe('exceeded');
    await ledger.change(changing(id, 'users', -5));
    expect((await ledger.change(refused)).outcome).toBe('changed');
  });

  it('may be the same id for another tenant', async () => {
    const [one, other] = [await tenant(), await tenant()];
    expect((await ledger.change(changing(one, 'users', 1, { commandId: 'the-key' }))).outcome).toBe('changed');
    expect((await ledger.change(changing(other, 'users', 1, { commandId: 'the-key' }))).outcome).toBe('changed');
  });
});

describe('giving back', () => {
  it('lowers a gauge, never below 0', async () => {
    const id = await tenant();
    await ledger.change(changing(id, 'users', 3));
    expect(await ledger.change(changing(id, 'users', -2))).toMatchObject({ outcome: 'changed', used: 1 });
    expect(await ledger.change(changing(id, 'users', -2))).toMatchObject({ outcome: 'below_zero', used: 1 });
    expect(await used(id, 'users')).toBe(1);
  });
  it('is possible above a limit that was lowered', async () => {
    const id = await tenant();
    await ledger.change(changing(id, 'users', 10));
    await database.pool.query('UPDATE quota_metering.quotas SET limit_value = 5 WHERE tenant_id = $1', [id]);
    expect(await ledger.change(changing(id, 'users', -1))).toMatchObject({ outcome: 'changed', used: 9, limit: 5 });
    expect((await ledger.change(changing(id, 'users', 1))).outcome).toBe('exceeded');
  });
  it('is not possible for a counter', async () => {
    const id = await tenant();
    await ledger.change(changing(id, 'api_calls', 3));
    expect(await ledger.change(changing(id, 'api_calls', -1))).toMatchObject({ outcome: 'not_releasable', kind: 'counter' });
  });
});

describe('the period', () => {
  // From 31 January in New York: 28 February begins there at 05:00Z, 31 March, in summer time, at 04:00Z.
  const before = '2026-02-28T04:59:59.999Z';
  const end = '2026-02-28T05:00:00.000Z';

  it("is over at midnight in the tenant's time zone, when counters start again and gauges stay", async () => {
    const id = await tenant();
    await ledger.change(changing(id, 'users', 6, { now: before }));
    expect(await ledger.change(changing(id, 'api_calls', 100, { now: before }))).toMatchObject({ outcome: 'changed', periodEnd: end });
    expect((await ledger.change(changing(id, 'api_calls', 1, { now: before }))).outcome).toBe('exceeded');
    expect(await ledger.change(changing(id, 'api_calls', 1, { now: end }))).toMatchObject({
      outcome: 'changed',
      used: 1,
      periodEnd: '2026-03-31T04:00:00.000Z',
    });
    expect(await used(id, 'users', end)).toBe(6);
  });

  it('shows 0 and the new end as soon as it is over, with nothing consumed yet', async () => {
    const id = await tenant();
    await ledger.change(changing(id, 'api_calls', 40, { now: before }));
    const at = async (now: string) => (await ledger.standings(id, now, 'api_calls'))?.[0];
    expect(await at(before)).toMatchObject({ used: 40, periodEnd: end });
    expect(await at(end)).toMatchObject({ used: 0, periodEnd: '2026-03-31T04:00:00.000Z' });
    expect(await at('2027-01-01T00:00:00.000Z')).toMatchObject({ used: 0, periodEnd: '2027-01-31T05:00:00.000Z' });
  });

  it('starts again once, however many notice at the same time', async () => {
    const id = await tenant();
    await ledger.change(changing(id, 'api_calls', 90, { now: before }));
    const outcomes = await Promise.all(Array.from({ length: 50 }, () => ledger.change(changing(id, 'api_calls', 3, { now: end }))));
    expect(outcomes.filter(({ outcome }) => outcome === 'changed')).toHaveLength(33);
    expect(await used(id, 'api_calls', end)).toBe(99);
  });

  it('does not go back for a replica whose clock is behind', async () => {
    const id = await tenant();
    await ledger.change(changing(id, 'api_calls', 100, { now: end }));
    expect((await ledger.change(changing(id, 'api_calls', 1, { now: before }))).outcome).toBe('exceeded');
  });

  it('leaves the period as it was after a refusal, and refuses the same again', async () => {
    const id = await tenant();
    await ledger.change(changing(id, 'api_calls', 90, { now: before }));
    expect((await ledger.change(changing(id, 'api_calls', 101, { now: end }))).outcome).toBe('exceeded');
    expect(await used(id, 'api_calls', end)).toBe(0);
    expect((await ledger.change(changing(id, 'api_calls', 100, { now: end }))).outcome).toBe('changed');
  });
});

describe('an assignment', () => {
  it('can be repeated: what is used stays, limits are those of the assignment', async () => {
    const given = assignment();
    await ledger.assign(given);
    await ledger.change(changing(given.tenantId, 'users', 4));
    await ledger.assign({ ...given, quotas: given.quotas.map((quota) => ({ ...quota, limit: 20 })) });
    expect((await ledger.standings(given.tenantId, start))?.map(({ resource, limit, used: amount }) => [resource, limit, amount])).toEqual([
      ['api_calls', 20, 0],
      ['bandwidth', 20, 0],
      ['users', 20, 4],
    ]);
  });

  it('may be written by many at once', async () => {
    const given = assignment();
    await Promise.all(Array.from({ length: 10 }, () => ledger.assign(given)));
    expect(await ledger.standings(given.tenantId, start)).toHaveLength(3);
  });

  it('that was held up does not bring back what has been withdrawn since', async () => {
    const given = assignment();
    await ledger.assign(given);
    await ledger.withdraw(given.tenantId, given.position + 3);
    await ledger.assign(given);
    expect(await ledger.standings(given.tenantId, start)).toBeNull();
    expect((await ledger.change(changing(given.tenantId, 'users', 1))).outcome).toBe('unassigned');
  });

  it('after a withdrawal begins from nothing', async () => {
    const given = assignment();
    await ledger.assign(given);
    await ledger.change(changing(given.tenantId, 'users', 4));
    await ledger.withdraw(given.tenantId, given.position + 3);
    expect(await ledger.countLogs(given.tenantId)).toBe(0);
    await ledger.assign({ ...given, position: given.position + 9 });
    expect(await used(given.tenantId, 'users')).toBe(0);
    await ledger.withdraw(given.tenantId, given.position + 3);
    expect(await used(given.tenantId, 'users')).toBe(0);
  });
});

describe('the usage log', () => {
  it("is read newest first, by page and resource, with the day in the tenant's time zone", async () => {
    const id = await tenant();
    const evening = '2026-02-02T03:30:00.000Z';
    await ledger.change(changing(id, 'users', 1, { now: evening, description: "Robert'); DROP TABLE users" }));
    await ledger.change(changing(id, 'api_calls', 2));
    await ledger.change(changing(id, 'users', 3));
    expect((await ledger.logs(id, { limit: 2, offset: 0 })).map(({ amount }) => amount)).toEqual([3, 2]);
    expect(await ledger.logs(id, { limit: 5, offset: 1, resource: 'users' })).toEqual([
      {
        id: expect.any(String),
        resource: 'users',
        amount: 1,
        usageDate: '2026-02-01',
        description: "Robert'); DROP TABLE users",
        createdAt: evening,
      },
    ]);
    expect(await ledger.countLogs(id)).toBe(3);
    expect(await ledger.countLogs(id, 'users')).toBe(2);
    expect(await ledger.logs(randomUUID(), { limit: 5, offset: 0 })).toEqual([]);
  });
});

describe('the calendar of a tenant', () => {
  it('is read once, follows the clock, and can be forgotten', async () => {
    const id = await tenant();
    let reads = 0;
    const calendars = new Calendars({
      cycle: (tenantId) => {
        reads += 1;
        return ledger.cycle(tenantId);
      },
    });
    expect(await calendars.at(id, '2026-02-28T04:59:59.999Z')).toEqual({
      period: { start, end: '2026-02-28T05:00:00.000Z' },
      day: '2026-02-27',
    });
    expect(await calendars.at(id, '2026-02-28T05:00:00.000Z')).toEqual({
      period: { start: '2026-02-28T05:00:00.000Z', end: '2026-03-31T04:00:00.000Z' },
      day: '2026-02-28',
    });
    expect(reads).toBe(1);
    calendars.forget(id);
    await calendars.at(id, '2026-02-28T05:00:00.000Z');
    expect(reads).toBe(2);
    expect(await calendars.at(randomUUID(), start)).toBeNull();
  });
});
