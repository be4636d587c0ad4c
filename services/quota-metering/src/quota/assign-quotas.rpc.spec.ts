import { randomUUID } from 'node:crypto';
import { ManualClock } from '@tenantry/contracts/clock';
import { newId } from '@tenantry/contracts/ids';
import { shippedPlans } from '@tenantry/contracts/plans';
import type { CommandContext } from '@tenantry/contracts/route';
import { MemoryKeyring } from '@tenantry/crypto/memory-keyring';
import { MemoryEventStore } from '@tenantry/event-store/adapters/memory/memory-event-store';
import { DefaultTenantLog } from '@tenantry/event-store/tenant-log-default';
import type { RpcClient } from '@tenantry/messaging/rpc';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type LedgerDatabase, startLedgerDatabase } from '../usage/ledger.fixture.js';
import { Ledger } from '../usage/ledger.js';
import { UsageMeter } from '../usage/usage-meter.js';
import { AssignQuotasRpc } from './assign-quotas.rpc.js';
import { FollowPlanEffect } from './follow-plan.effect.js';
import { LimitsRpc } from './limits.rpc.js';
import { ListQuotasRpc } from './list-quotas.rpc.js';
import { RelimitEffect } from './relimit.effect.js';
import { WithdrawQuotasRpc } from './withdraw-quotas.rpc.js';

let database: LedgerDatabase;
beforeAll(async () => {
  database = await startLedgerDatabase();
}, 120_000);
afterAll(() => database?.stop());

let clock: ManualClock;
let log: DefaultTenantLog;
let ledger: Ledger;
let meter: UsageMeter;
let tenantId: string;
beforeEach(() => {
  clock = new ManualClock(Date.parse('2026-01-15T10:00:00.000Z'));
  const keyring = new MemoryKeyring();
  log = new DefaultTenantLog(new MemoryEventStore(), keyring);
  ledger = new Ledger(database);
  meter = new UsageMeter(ledger, log, keyring, clock);
  tenantId = randomUUID();
});

const operation = newId();
const caller = { service: 'provisioning' };
const assign = (operationId = operation, onto: Ledger = ledger, trialDays = 0) =>
  new AssignQuotasRpc(log, onto).handle(
    {
      tenantId,
      operationId,
      plan: { ...shippedPlans.free, id: 'free', version: 1, trialDays },
      overrides: { users: 2 },
      timezone: 'Europe/Berlin',
      startsAt: '2026-01-15T10:00:00.000Z',
    },
    caller,
  );
const withdraw = (operationId = operation) => new WithdrawQuotasRpc(log, ledger, clock).handle({ tenantId, operationId }, caller);
const types = async () => (await log.readLog(tenantId, 0)).events.map(({ type }) => type);
const command = (id: string = newId()): CommandContext => ({
  id,
  requestHash: 'request',
  principal: { kind: 'staff', id: 'somebody', permissions: ['*'] },
});
/** As if the process had died before the rows were written. */
class DyingLedger extends Ledger {
  override assign(): Promise<void> {
    return Promise.reject(new Error('the database is gone'));
  }
}

describe('assigning', () => {
  it('records the quotas and makes them usable at once', async () => {
    expect(await assign()).toEqual({ quotas: 11 });
    expect(await types()).toEqual(['QuotasAssigned']);
    const { body } = await new ListQuotasRpc(meter).handle({ tenantId } as never);
    expect(body.items).toHaveLength(11);
    expect(body.items).toContainEqual({ resource: 'users', kind: 'gauge', unit: 'count', limit: 2, used: 0, periodEnd: null });
    expect(body.items).toContainEqual({
      resource: 'api_calls',
      kind: 'counter',
      unit: 'count',
      limit: 1_000,
      used: 0,
      periodEnd: '2026-02-14T23:00:00.000Z',
    });
  });

  it('is done once, however often and at the same time it is called', async () => {
    await Promise.all([assign(), assign(), assign()]);
    await meter.change(tenantId, command(), { resource: 'users', amount: 1 });
    await assign();
    expect(await types()).toEqual(['QuotasAssigned']);
    expect((await meter.standing(tenantId, 'users')).used).toBe(1);
  });

  it('writes the rows at the next call when the process died before it did; until then nothing is unlimited', async () => {
    await expect(assign(operation, new DyingLedger(database))).rejects.toThrow('the database is gone');
    await expect(meter.change(tenantId, command(), { resource: 'users', amount: 1 })).rejects.toMatchObject({ code: 'tenant.not_ready' });
    await assign();
    expect(await types()).toEqual(['QuotasAssigned']);
    expect((await meter.standing(tenantId, 'users')).limit).toBe(2);
  });

  it('after a trial starts counters again with the first paid period', async () => {
    await assign(operation, ledger, 14);
    const { periodEnd } = await meter.standing(tenantId, 'api_calls');
    expect(periodEnd).toBe('2026-01-29T10:00:00.000Z');
    clock.advance(15 * 86_400_000);
    expect((await meter.standing(tenantId, 'api_calls')).periodEnd).toBe('2026-02-27T23:00:00.000Z');
  });
});

describe('withdrawing', () => {
  it('takes the quotas away, once', async () => {
    await assign();
    await meter.change(tenantId, command(), { resource: 'users', amount: 1 });
    await withdraw();
    await withdraw();
    expect(await types()).toEqual(['QuotasAssigned', 'QuotasWithdrawn']);
    await expect(meter.standings(tenantId)).rejects.toMatchObject({ code: 'tenant.not_ready' });
    await expect(meter.change(tenantId, command(), { resource: 'users', amount: 1 })).rejects.toMatchObject({ code: 'tenant.not_ready' });
  });
  it('is not undone by a late repeat of the assignment, and lets another provisioning assign again', async () => {
    await assign();
    await withdraw();
    await assign();
    await expect(meter.standings(tenantId)).rejects.toMatchObject({ code: 'tenant.not_ready' });
    await assign(newId());
    expect((await meter.standing(tenantId, 'users')).used).toBe(0);
  });
  it('is nothing where nothing was assigned', async () => {
    expect(await withdraw()).toEqual({});
    expect(await types()).toEqual([]);
  });
});

describe('limits that are set', () => {
  const nothingHeld = async () => ({ held: null, impacts: [] });
  const rpc = (onto: Ledger = ledger, call: (...asked: any[]) => Promise<unknown> = nothingHeld) =>
    new LimitsRpc(log, onto, meter, clock, { call } as unknown as RpcClient);
  const put = (limits: object, as = command(), onto?: Ledger) => rpc(onto).put({ tenantId, body: { limits }, command: as } as never);
  const use = (amount: number) => meter.change(tenantId, command(), { resource: 'users', amount });

  it('count at once, also below what is used, which is said', async () => {
    await assign();
    await use(2);
    const preview = await rpc().preview({ tenantId, body: { limits: { users: 1 } } } as never);
    expect(preview.body).toMatchObject({ changes: [{ path: 'quotas.users.limit', from: 2, to: 1 }], impacts: [{ kind: 'over_limit' }] });
    const { body, version } = await put({ users: 1, storage: '1 TB' });
    expect([body, version]).toMatchObject([{ impacts: [{ kind: 'over_limit' }] }, 1]);
    await expect(use(1)).rejects.toMatchObject({ code: 'quota.exceeded' });
    expect((await meter.standing(tenantId, 'users')).used).toBe(2);
    await put({ users: 3 });
    await use(1);
    expect(await ledger.over([tenantId, newId()], { users: 2, devices: 0 }, clock.now())).toEqual({
      tenants: 1,
      sample: [{ tenantId, resource: 'users', used: 3, limit: 2 }],
    });
  });
  it('wait where others have to approve them, and are set once those have', async () => {
    await assign();
    const asked: any[] = [];
    const held = { status: 202, body: { approval: { id: 'a-1' } } };
    const call = async ({ name }: { name: string }, input: unknown) => {
      if (name === 'approvals.hold') asked.push(input);
      return name === 'approvals.hold' ? { held } : { impacts: [{ kind: 'approval', detail: '' }] };
    };
    const guarded = rpc(ledger, call);
    const request = { ...command(), ifMatch: 0 };
    const of = (limits: object) => ({ tenantId, body: { limits }, command: request }) as never;
    expect((await guarded.preview(of({ users: 9 }))).body.impacts).toMatchObject([{ kind: 'approval' }]);
    expect(await guarded.put(of({ users: 9, storage: '1 KB' }))).toEqual(held);
    expect(asked).toEqual([{ ...{ tenantId, command: 'limits', body: { limits: { users: 9, storage: 1_000 } }, version: 0 }, request }]);
    expect((await meter.standing(tenantId, 'users')).limit).toBe(2);
    // What is so already, and what would be refused, is not asked for.
    expect(await guarded.put(of({ users: 2 }))).toMatchObject({ status: 200 });
    expect(asked).toHaveLength(1);

    const approved = { id: newId(), actor: { kind: 'staff' as const, id: 'somebody' }, ifMatch: 0 };
    await rpc().override({ tenantId, limits: { users: 9 }, command: approved });
    expect((await meter.standing(tenantId, 'users')).limit).toBe(9);
    expect((await log.readLog(tenantId, 0)).events.at(-1)).toMatchObject({ type: 'LimitsChanged', metadata: { actor: approved.actor } });
    const late = rpc().override({ tenantId, limits: { users: 10 }, command: { ...approved, id: newId() } });
    await expect(late).rejects.toMatchObject({ code: 'precondition.failed' });
  });
  it('that were so already are not set where somebody else changes them a moment later', async () => {
    await assign();
    const call = async ({ name }: { name: string }) => {
      if (name === 'approvals.hold') return { held: null };
      // Between the look and the decision.
      await put({ users: 1 });
      return { impacts: [{ kind: 'approval', detail: '' }] };
    };
    const asked = rpc(ledger, call).put({ tenantId, body: { limits: { users: 2 } }, command: command() } as never);
    await expect(asked).rejects.toMatchObject({ code: 'approval.needed' });
    expect((await meter.standing(tenantId, 'users')).limit).toBe(1);
  });
  it('by work over many are refused where others have to approve them, unless there is nothing left to do', async () => {
    await assign();
    const item = { id: newId(), actor: { kind: 'staff' as const, id: 'somebody' } };
    const override = (unapproved: boolean, users: number, as = item) =>
      rpc().override({ tenantId, limits: { users }, unapproved, command: as });
    await expect(override(true, 9)).rejects.toMatchObject({ code: 'approval.needed' });
    expect((await meter.standing(tenantId, 'users')).limit).toBe(2);
    await override(true, 2);
    await override(false, 9);
    await put({ users: 5 });
    await override(true, 9);
    expect((await meter.standing(tenantId, 'users')).limit).toBe(5);
  });
  it('reach the ledger although the process died before it wrote there', async () => {
    await assign();
    class Dying extends Ledger {
      override relimit(): Promise<void> {
        return Promise.reject(new Error('the process died'));
      }
    }
    const same = command();
    await expect(put({ users: 9 }, same, new Dying(database))).rejects.toThrow('died');
    expect((await meter.standing(tenantId, 'users')).limit).toBe(2);
    await new RelimitEffect(log, ledger).run({ tenantId } as never);
    expect((await meter.standing(tenantId, 'users')).limit).toBe(9);
    await put({ users: 9 }, same);
    expect((await types()).filter((type) => type === 'LimitsChanged')).toHaveLength(1);
  });
  it('are not taken back by a change of plan that reaches the ledger later', async () => {
    await assign();
    const plan = { ...shippedPlans.business, id: 'business', version: 1, trialDays: 0 };
    const follow = { id: newId(), tenantId, causationId: newId(), payload: { plan, planPosition: 5 } } as never;
    class Slow extends Ledger {
      override async relimit(...args: Parameters<Ledger['relimit']>): Promise<void> {
        await put({ devices: 4 });
        await super.relimit(...args);
      }
    }
    await new FollowPlanEffect(log, new Slow(database), clock).run(follow);
    expect((await meter.standing(tenantId, 'devices')).limit).toBe(4);
    await new FollowPlanEffect(log, ledger, clock).run(follow);
    expect([(await meter.standing(tenantId, 'devices')).limit, (await meter.standing(tenantId, 'alerts')).limit]).toEqual([
      4,
      plan.limits.alerts ?? null,
    ]);
  });
});

describe('the shares of all tenants', () => {
  it('are of the limit that each has used most of, page by page', async () => {
    await assign();
    await meter.change(tenantId, command(), { resource: 'users', amount: 1 });
    const idle = tenantId;
    tenantId = randomUUID();
    await assign(newId());
    const found = new Map<string, unknown>();
    for (let after: string | null = null; ; ) {
      const items = await ledger.shares(clock.now(), after, 2);
      for (const { tenantId: id, ...share } of items) found.set(id, share);
      if (items.length < 2) break;
      after = items.at(-1)?.tenantId ?? null;
    }
    expect([found.get(idle), found.get(tenantId)]).toEqual([
      { percent: 50, usedAt: clock.now() },
      { percent: 0, usedAt: null },
    ]);
  });
});

describe('a tenant', () => {
  it('that is not there is told from one that has no quotas yet', async () => {
    await expect(meter.standings(tenantId)).rejects.toMatchObject({ code: 'tenant.not_found' });
    await expect(meter.change(tenantId, command(), { resource: 'users', amount: 1 })).rejects.toMatchObject({ code: 'tenant.not_found' });
  });
  it('is told which resources there are', async () => {
    await assign();
    const refused = { code: 'quota.unknown_resource', errors: [{ field: 'resource', message: expect.stringContaining('users') }] };
    await expect(meter.change(tenantId, command(), { resource: 'unicorns', amount: 1 })).rejects.toMatchObject(refused);
    await expect(meter.standing(tenantId, 'unicorns')).rejects.toMatchObject(refused);
  });
  it('gets the first answer again for the same command', async () => {
    await assign();
    const same = command();
    const first = await meter.change(tenantId, same, { resource: 'users', amount: 1 });
    await meter.change(tenantId, command(), { resource: 'users', amount: 1 });
    expect(await meter.change(tenantId, same, { resource: 'users', amount: 1 })).toEqual(first);
    await expect(meter.change(tenantId, { ...same, requestHash: 'another' }, { resource: 'users', amount: 1 })).rejects.toMatchObject({
      code: 'idempotency.mismatch',
    });
  });
});
