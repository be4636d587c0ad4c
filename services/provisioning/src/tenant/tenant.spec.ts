import type { StoredEvent } from '@tenantry/contracts/events';
import { shippedPlans } from '@tenantry/contracts/plans';
import { fold } from '@tenantry/event-store/aggregate';
import { describe, expect, it } from 'vitest';
import { draft, registration } from './registration.js';
import { abandon, abandonments, changePlan, fail, markProvisioned, register, type Tenant, tenant, together, update } from './tenant.js';
import { activate, archive, asReseller, reactivate, restore, retry, suspend, toStatus } from './transitions.js';

const NOW = '2026-01-01T00:00:00.000Z';
const asked = (over = {}) =>
  registration(draft({ name: 'Acme', ...over }), {
    operationId: 'op-1',
    slug: 'acme',
    domain: { type: 'subdomain', host: 'acme.tenantry.localhost', ssl: true },
    plan: { ...shippedPlans.free, id: 'free', version: 1 },
    now: NOW,
  });

type Decide = (state: Tenant) => { type: string; data: unknown }[];
/** The state after these decisions, each made on the state before. */
const given = (...decisions: Decide[]): Tenant =>
  decisions.reduce<Tenant>(
    (state, decide) => fold(tenant, decide(state).map((event) => ({ ...event, recordedAt: NOW }) as StoredEvent) as never, state),
    tenant.initial,
  );
const types = (events: { type: string }[]) => events.map((event) => event.type);

const pending = () => given(register(asked()));
const provisioned = (over = {}) => given(register(asked(over)), markProvisioned('op-1', NOW));
const failed = () => given(register(asked()), fail('op-1', 'isolate', { code: 'internal.error', detail: 'no disk' }, NOW));

describe('a registration', () => {
  it('makes a pending tenant', () => expect(pending()).toMatchObject({ status: 'pending', name: 'Acme', provisioned: false }));
  it('happens once', () => expect(() => register(asked())(pending())).toThrow('already'));
  it('can come again after it was abandoned', () => {
    expect(given(abandon('acme', NOW), register(asked(), 1))).toMatchObject({ status: 'pending' });
  });
  it('is not abandoned once it came', () => expect(abandon('acme', NOW)(pending())).toEqual([]));
});

describe('activation', () => {
  it('waits until everything was verified', () => expect(() => activate({ cause: 'manual' }, NOW)(pending())).toThrow(/provisioned/));
  it('makes the tenant active', () =>
    expect(given(register(asked()), markProvisioned('op-1', NOW), activate({ cause: 'provisioned' }, NOW))).toMatchObject({
      status: 'active',
    }));
  it('begins with the trial where there is one', () => {
    const trial = provisioned({ plan: { id: 'pro', trial: true } });
    expect(activate({ operationId: 'op-1', cause: 'provisioned' }, NOW)(trial)).toMatchObject([{ data: { status: 'trial' } }]);
  });
  it('is not repeated', () => {
    const active = given(register(asked()), markProvisioned('op-1', NOW), activate({ cause: 'manual' }, NOW));
    expect(activate({ cause: 'manual' }, NOW)(active)).toEqual([]);
  });
  it('is refused for a failed tenant', () => expect(() => activate({ cause: 'manual' }, NOW)(failed())).toThrow(/failed/));
});

describe('a tenant that could not be completed', () => {
  it('is failed, with the reason', () => expect(failed()).toMatchObject({ status: 'failed', statusReason: 'no disk' }));
  it('can be retried, as another operation', () => {
    const state = given(
      () => [],
      register(asked()),
      fail('op-1', 'isolate', { code: 'x', detail: 'y' }, NOW),
      retry('op-2', 'manual', NOW),
    );
    expect(state).toMatchObject({ status: 'pending', operationId: 'op-2', statusReason: null });
  });
  it('is not failed again by an operation of before', () => {
    const retried = given(register(asked()), fail('op-1', 'isolate', { code: 'x', detail: 'y' }, NOW), retry('op-2', 'manual', NOW));
    expect(fail('op-1', 'isolate', { code: 'x', detail: 'y' }, NOW)(retried)).toEqual([]);
  });
  it('is the only kind that can be retried', () => expect(() => retry('op-2', 'manual', NOW)(pending())).toThrow(/Only a failed/));
});

const manual = { cause: 'manual' } as const;
const active = (over = {}) => given(register(asked(over)), markProvisioned('op-1', NOW), activate({ cause: 'provisioned' }, NOW));
const onTrial = () =>
  given(
    register(asked({ plan: { id: 'pro', trial: true } })),
    markProvisioned('op-1', NOW),
    activate({ operationId: 'op-1', cause: 'provisioned' }, NOW),
  );
/** The state after decisions on a state. */
const then = (state: Tenant, ...decisions: Decide[]): Tenant =>
  decisions.reduce<Tenant>(
    (now, decide) => fold(tenant, decide(now).map((event) => ({ ...event, recordedAt: NOW }) as StoredEvent) as never, now),
    state,
  );

describe('a suspension', () => {
  it.each([
    ['an active tenant', active],
    ['a tenant on trial', onTrial],
  ])('of %s ends with the state before', (_what, tenantOf) => {
    const before = tenantOf();
    const suspended = then(before, suspend({ cause: 'payment', reason: 'invoice 7' }, NOW));
    expect(suspended).toMatchObject({ status: 'suspended', statusCause: 'payment', statusReason: 'invoice 7' });
    expect(then(suspended, reactivate(manual, NOW))).toMatchObject({ status: before.status, suspendedFrom: null, statusReason: null });
  });
  it('is not repeated, nor is its end', () => {
    expect(suspend(manual, NOW)(then(active(), suspend(manual, NOW)))).toEqual([]);
    expect(reactivate(manual, NOW)(active())).toEqual([]);
    expect(reactivate(manual, NOW)(onTrial())).toEqual([]);
  });
  it.each([
    ['pending', pending],
    ['failed', failed],
  ])('is refused for a tenant that is %s, and so is its end', (status, tenantOf) => {
    expect(() => suspend(manual, NOW)(tenantOf())).toThrow(status);
    expect(() => reactivate(manual, NOW)(tenantOf())).toThrow(status);
  });
  it('is not ended by an activation', () =>
    expect(() => activate({ cause: 'manual' }, NOW)(then(active(), suspend(manual, NOW)))).toThrow(/reactivate/));
});

describe('a wanted status', () => {
  const from = (state: Tenant, wanted: 'active' | 'trial' | 'suspended') => types(toStatus(wanted, manual, NOW)(state));
  it.each([
    ['active', 'provisioned', provisioned, ['TenantActivated']],
    ['active', 'on trial', onTrial, ['TenantActivated']],
    ['active', 'suspended', () => then(active(), suspend(manual, NOW)), ['TenantReactivated']],
    ['active', 'suspended on trial', () => then(onTrial(), suspend(manual, NOW)), ['TenantReactivated']],
    ['trial', 'suspended on trial', () => then(onTrial(), suspend(manual, NOW)), ['TenantReactivated']],
    ['suspended', 'active', active, ['TenantSuspended']],
    ['active', 'active', active, []],
    ['trial', 'on trial', onTrial, []],
    ['suspended', 'suspended', () => then(active(), suspend(manual, NOW)), []],
  ] as const)('%s from %s', (wanted, _what, state, expected) => expect(from(state(), wanted)).toEqual(expected));
  it('is refused where nothing leads there', () => {
    expect(() => from(active(), 'trial')).toThrow(/trial/);
    expect(() => from(then(active(), suspend(manual, NOW)), 'trial')).toThrow(/trial/);
    expect(() => from(failed(), 'active')).toThrow(/failed/);
  });
});

describe('a change of plan', () => {
  const business = { ...shippedPlans.business, id: 'business', version: 3 };
  it('records both plans whole', () => {
    const [event] = changePlan(business, NOW)(active());
    expect(event).toMatchObject({
      type: 'TenantPlanChanged',
      data: {
        plan: { ...business, trialDays: 0 },
        priority: business.priority,
        features: { custom_domains: true, manual_certificates: true },
        before: { plan: { id: 'free', version: 1, limits: shippedPlans.free.limits }, priority: shippedPlans.free.priority, features: {} },
      },
    });
  });
  it('leaves a priority, and features, that were set otherwise', () => {
    const state = active({ priority: 77, features: { custom_domains: false, beta: true } });
    expect(then(state, changePlan(business, NOW))).toMatchObject({
      priority: 77,
      features: { custom_domains: false, manual_certificates: true, beta: true },
    });
  });
  it('ends the features of the plan before, and begins them again', () => {
    const free = { ...shippedPlans.free, id: 'free', version: 1 };
    const down = then(active(), changePlan(business, NOW), changePlan(free, NOW));
    expect(down).toMatchObject({ plan: { id: 'free' } });
    expect(down).toHaveProperty('features', {});
    expect(then(down, changePlan(business, NOW))).toHaveProperty('features', { custom_domains: true, manual_certificates: true });
  });
  it('goes on with a running trial', () =>
    expect(then(onTrial(), changePlan(business, NOW))).toMatchObject({ status: 'trial', plan: { id: 'business', trialDays: 14 } }));
  it('to the plan that it has, in whichever version, changes nothing', () =>
    expect(changePlan({ ...shippedPlans.free, id: 'free', version: 2 }, NOW)(active())).toEqual([]));
  it('waits until the tenant is provisioned', () => expect(() => changePlan(business, NOW)(pending())).toThrow(/pending/));
  it('is nothing for a tenant that was erased, as any other change', () => {
    const erased = then(active(), () => [{ type: 'TenantErased', data: { operationId: 'op-2', erasedAt: NOW } }]);
    const refused = expect.objectContaining({ code: 'tenant.deleted' });
    expect(() => changePlan(business, NOW)(erased)).toThrow(refused);
    expect(() => update({ name: 'Other' }, {})(erased)).toThrow(refused);
    expect(fail('op-1', 'isolate', { code: 'internal.error', detail: 'no disk' }, NOW)(erased)).toEqual([]);
  });
  it('goes with an update as one command', () =>
    expect(types(together(update({ name: 'Acme Ltd' }, {}), changePlan(business, NOW))(active()))).toEqual([
      'TenantUpdated',
      'TenantPlanChanged',
    ]));
});

describe('an update', () => {
  it('records what changed, with what it was, and nothing else', () => {
    const events = update({ name: 'Acme Ltd', timezone: 'UTC' }, {})(pending());
    expect(events).toEqual([{ type: 'TenantUpdated', data: { name: 'Acme Ltd', before: { name: 'Acme' } } }]);
  });
  it('names no value from before where there was none', () => {
    const [event] = update({ contactPhone: '+49 30 1' }, {})(pending());
    expect(event?.data).toEqual({ contactPhone: '+49 30 1', before: {} });
  });
  it('leaves the tenant with the new values only', () => {
    const state = given(register(asked()), update({ theme: 'dark' }, {}));
    expect(state).toMatchObject({ theme: 'dark' });
    expect(state).not.toHaveProperty('before');
  });
  it('removes a contact with null, once', () => {
    const known = { billingEmail: 'a@b.example' };
    const state = pending();
    const removal = update({ billingEmail: null }, known);
    expect(removal({ ...state, ...known } as Tenant)).toMatchObject([{ data: { billingEmail: null, before: known } }]);
    const gone = then({ ...state, ...known } as Tenant, removal);
    expect(gone).toHaveProperty('billingEmail', undefined);
    expect(update({ billingEmail: null }, {})(gone)).toEqual([]);
  });
  it('compares contacts in clear', () =>
    expect(update({ adminEmail: 'a@b.example' }, { adminEmail: 'a@b.example' })(pending())).toEqual([]));
  it('without a change records nothing', () => expect(types(update({ name: 'Acme' }, {})(pending()))).toEqual([]));
  it('needs a tenant', () => expect(() => update({ name: 'X' }, {})(tenant.initial)).toThrow());
});

describe('a registration', () => {
  it('comes too late once it was abandoned, and may begin anew', () => {
    const abandoned = tenant.evolve(tenant.initial, { ...abandon('acme', NOW)(tenant.initial)[0], recordedAt: NOW } as never);
    expect(abandonments(abandoned)).toBe(1);
    expect(() => register({} as never, 0)(abandoned)).toThrow(/given up meanwhile/);
    expect(register({} as never, 1)(abandoned)).toHaveLength(1);
    expect(() => register({} as never)(abandoned)).toThrow(/given up meanwhile/);
  });
});

describe('what the platform suspended', () => {
  it('is not ended by a reseller after it was archived and restored for another cause', () => {
    const away = then(
      provisioned(),
      activate({ cause: 'provisioned' }, NOW),
      suspend({ cause: 'policy' }, NOW),
      archive({ cause: 'manual' }, NOW),
    );
    const restored = then(away, restore({ cause: 'manual' }, NOW));
    expect(restored).toMatchObject({ status: 'suspended', statusCause: 'manual', suspendedBy: null });
    expect(() => asReseller('r-1', 'active', { cause: 'manual' }, NOW)(restored)).toThrow(/only the platform/);
    expect(reactivate({ cause: 'manual' }, NOW)(restored)).toHaveLength(1);
  });
});
