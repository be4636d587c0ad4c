import type { StoredEvent } from '@tenantry/contracts/events';
import { type PlanSnapshot, resourceNames, shippedPlans } from '@tenantry/contracts/plans';
import type { QuotaEvent } from '@tenantry/contracts/quota/events';
import { fold } from '@tenantry/event-store/aggregate';
import { describe, expect, it } from 'vitest';
import { limitImpacts } from './limit-impacts.js';
import { assign, type Entitlement, followPlan, override, quotas, withdraw } from './quotas.js';

const given = (...events: QuotaEvent[]) => fold(quotas, events as unknown as (QuotaEvent & StoredEvent)[] as never);
const plan = (id: keyof typeof shippedPlans, trialDays = 0): PlanSnapshot => ({ ...shippedPlans[id], id, version: 1, trialDays });
const entitled = (change: Partial<Entitlement> = {}): Entitlement => ({
  plan: plan('professional'),
  overrides: {},
  timezone: 'UTC',
  startsAt: '2026-01-15T10:00:00.000Z',
  ...change,
});
const assigned = (change?: Partial<Entitlement>) => {
  const [event] = assign(entitled(change))(given());
  if (event?.type !== 'QuotasAssigned') throw new Error('nothing was assigned');
  return event;
};
const limits = (change?: Partial<Entitlement>) =>
  Object.fromEntries(assigned(change).data.quotas.map(({ resource, limit }) => [resource, limit]));

describe('assigning quotas', () => {
  it('gives the limits of the plan, and every resource that it does not name unlimited', () => {
    expect(limits()).toEqual({
      users: 50,
      devices: 100,
      storage: 10_000_000_000,
      bandwidth: null,
      api_calls: 10_000,
      alerts: 1_000,
      compute_cpu: null,
      compute_memory: null,
      concurrent_users: null,
      domains: null,
      database_size: null,
    });
  });

  it('names kind and unit of every resource that exists', () => {
    const all = assigned().data.quotas;
    expect(all.map(({ resource }) => resource)).toEqual(resourceNames);
    expect(all.find(({ resource }) => resource === 'storage')).toEqual({
      resource: 'storage',
      kind: 'gauge',
      unit: 'bytes',
      limit: 10_000_000_000,
      source: 'plan',
    });
  });

  it('lets overrides replace the limits of the plan, 0 and unlimited included', () => {
    const data = assigned({ overrides: { users: 7, devices: 0, api_calls: null, domains: 3 } }).data;
    const of = (name: string) => data.quotas.find(({ resource }) => resource === name);
    expect(of('users')).toMatchObject({ limit: 7, source: 'override' });
    expect(of('devices')).toMatchObject({ limit: 0, source: 'override' });
    expect(of('api_calls')).toMatchObject({ limit: null, source: 'override' });
    expect(of('domains')).toMatchObject({ limit: 3, source: 'override' });
    expect(of('storage')).toMatchObject({ source: 'plan' });
  });

  it('carries the retention of the plan', () => {
    expect(assigned({ plan: plan('free') }).data).toMatchObject({ retentionDays: 30, plan: { id: 'free', version: 1 } });
  });

  it("takes the billing period in the tenant's time zone", () => {
    expect(assigned({ timezone: 'Europe/Berlin' }).data).toMatchObject({
      timezone: 'Europe/Berlin',
      periodStart: '2026-01-15T10:00:00.000Z',
      periodEnd: '2026-02-14T23:00:00.000Z',
    });
  });

  it('ends the first period with a trial that is shorter than a month', () => {
    expect(assigned({ plan: plan('business', 14) }).data.periodEnd).toBe('2026-01-29T10:00:00.000Z');
  });

  it('refuses limits of resources that do not exist, by name', () => {
    expect(() => assign(entitled({ overrides: { unicorns: 3 } }))(given())).toThrow(
      expect.objectContaining({ code: 'quota.unknown_resource', errors: [expect.objectContaining({ field: 'overrides.unicorns' })] }),
    );
    expect(() => assign(entitled({ overrides: { constructor: 3 } }))(given())).toThrow(
      expect.objectContaining({ code: 'quota.unknown_resource' }),
    );
  });

  it('does nothing when quotas are assigned already', () => {
    expect(assign(entitled({ plan: plan('free') }))(given(assigned()))).toEqual([]);
  });

  it('assigns again after a withdrawal', () => {
    const state = given(assigned(), { type: 'QuotasWithdrawn', data: { withdrawnAt: '2026-01-16T00:00:00.000Z' } });
    expect(assign(entitled())(state)).toHaveLength(1);
  });
});

describe('withdrawing quotas', () => {
  it('is recorded once', () => {
    const now = '2026-01-16T00:00:00.000Z';
    const [event] = withdraw(now)(given(assigned()));
    expect(event).toEqual({ type: 'QuotasWithdrawn', data: { withdrawnAt: now } });
    expect(withdraw(now)(given(assigned(), event as QuotaEvent))).toEqual([]);
  });
  it('is nothing where none were assigned', () => {
    expect(withdraw('2026-01-16T00:00:00.000Z')(given())).toEqual([]);
  });
});

describe('following another plan', () => {
  const NOW = '2026-02-01T00:00:00.000Z';
  const follow = (id: keyof typeof shippedPlans, at: number) => followPlan(plan(id), at, NOW);
  const before = assigned({ overrides: { users: 7 } });

  it('gives its limits and retention, and leaves overrides', () => {
    const [event] = follow('business', 20)(given(before));
    if (event?.type !== 'QuotasChanged') throw new Error('nothing was changed');
    expect(event.data).toMatchObject({ plan: { id: 'business', version: 1 }, retentionDays: 365, planPosition: 20 });
    const limit = (name: string) => event.data.quotas.find(({ resource }) => resource === name);
    expect(limit('devices')).toMatchObject({ limit: 1_000, source: 'plan' });
    expect(limit('users')).toMatchObject({ limit: 7, source: 'override' });
    expect(limit('domains')).toMatchObject({ limit: null, source: 'plan' });
    expect(event.data.before.quotas).toEqual(before.data.quotas);
  });
  it('is done once, and not by a change of plan that is older', () => {
    const changed = given(before, ...follow('business', 20)(given(before)));
    expect(follow('business', 20)(changed)).toEqual([]);
    expect(follow('free', 19)(changed)).toEqual([]);
    expect(follow('free', 21)(changed)).toHaveLength(1);
  });
  it('leaves a tenant without quotas without', () => expect(follow('business', 20)(given())).toEqual([]));
});

describe('limits of the tenant’s own', () => {
  const NOW = '2026-02-01T00:00:00.000Z';
  const before = assigned({ overrides: { users: 7 } });
  const set = (limits: Parameters<typeof override>[0], of = plan('professional')) => override(limits, of, NOW);

  it('replace those of the plan, go back to them, and leave the others', () => {
    const [event] = set({ users: 'plan', devices: 3, storage: null })(given(before));
    if (event?.type !== 'LimitsChanged') throw new Error('nothing was changed');
    const of = (name: string) => event.data.quotas.find(({ resource }) => resource === name);
    expect([of('users'), of('devices'), of('storage'), of('api_calls')]).toMatchObject([
      { limit: 50, source: 'plan' },
      { limit: 3, source: 'override' },
      { limit: null, source: 'override' },
      { limit: 10_000, source: 'plan' },
    ]);
    expect(event.data.before.quotas).toEqual(before.data.quotas);
    expect(set({ devices: 3, storage: null })(given(before, event))).toEqual([]);
  });
  it('stay when the plan changes', () => {
    const own = given(before, ...set({ devices: 3 })(given(before)));
    const [event] = followPlan(plan('business'), 20, NOW)(own);
    if (event?.type !== 'QuotasChanged') throw new Error('nothing was changed');
    expect(event.data.quotas.find(({ resource }) => resource === 'devices')).toMatchObject({ limit: 3, source: 'override' });
  });
  it('are refused without quotas, for what is not metered, and of a plan that is not followed yet', () => {
    expect(() => set({ users: 1 })(given())).toThrow(expect.objectContaining({ code: 'tenant.not_ready' }));
    expect(() => set({ unicorns: 1 })(given(before))).toThrow(expect.objectContaining({ code: 'quota.unknown_resource' }));
    expect(() => set({ users: 'plan' }, plan('business'))(given(before))).toThrow(expect.objectContaining({ code: 'log.conflict' }));
  });
  it('say what is over them, and what is less', () => {
    const standing = (resource: string, used: number, limit: number | null) =>
      ({ resource, kind: 'gauge', unit: 'count', used, limit, poolLeft: null, periodEnd: null }) as never;
    const after = [
      { resource: 'users', kind: 'gauge', unit: 'count', limit: 3, source: 'override' },
      { resource: 'devices', kind: 'gauge', unit: 'count', limit: 8, source: 'override' },
      { resource: 'domains', kind: 'gauge', unit: 'count', limit: 9, source: 'override' },
    ] as const;
    expect(limitImpacts([standing('users', 5, 10), standing('devices', 1, null), standing('domains', 1, 2)], after)).toEqual([
      { kind: 'over_limit', detail: '5 of users are used, and the limit is 3: nothing more can be added until less is used.' },
      { kind: 'limit', detail: 'The limit of devices is 8 instead of unlimited.' },
    ]);
  });
});
