import type { StoredEvent } from '@tenantry/contracts/events';
import { shippedPlans } from '@tenantry/contracts/plans';
import { fold } from '@tenantry/event-store/aggregate';
import { describe, expect, it } from 'vitest';
import { draft, registration } from './registration.js';
import { abandon, activate, fail, markProvisioned, register, retry, type Tenant, tenant, update } from './tenant.js';

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
    expect(given(abandon('acme', NOW), register(asked()))).toMatchObject({ status: 'pending' });
  });
  it('is not abandoned once it came', () => expect(abandon('acme', NOW)(pending())).toEqual([]));
});

describe('activation', () => {
  it('waits until everything was verified', () => expect(() => activate({ reason: 'manual' }, NOW)(pending())).toThrow(/provisioned/));
  it('makes the tenant active', () =>
    expect(given(register(asked()), markProvisioned('op-1', NOW), activate({ reason: 'provisioned' }, NOW))).toMatchObject({
      status: 'active',
    }));
  it('begins with the trial where there is one', () => {
    const trial = provisioned({ plan: { id: 'pro', trial: true } });
    expect(activate({ operationId: 'op-1', reason: 'provisioned' }, NOW)(trial)).toMatchObject([{ data: { status: 'trial' } }]);
  });
  it('is not repeated', () => {
    const active = given(register(asked()), markProvisioned('op-1', NOW), activate({ reason: 'x' }, NOW));
    expect(activate({ reason: 'x' }, NOW)(active)).toEqual([]);
  });
  it('is refused for a failed tenant', () => expect(() => activate({ reason: 'manual' }, NOW)(failed())).toThrow(/failed/));
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
  it('compares contacts in clear', () =>
    expect(update({ adminEmail: 'a@b.example' }, { adminEmail: 'a@b.example' })(pending())).toEqual([]));
  it('without a change records nothing', () => expect(types(update({ name: 'Acme' }, {})(pending()))).toEqual([]));
  it('needs a tenant', () => expect(() => update({ name: 'X' }, {})(tenant.initial)).toThrow());
});
