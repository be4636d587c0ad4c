import type { StoredEvent } from '@tenantry/contracts/events';
import { shippedPlans } from '@tenantry/contracts/plans';
import { fold } from '@tenantry/event-store/aggregate';
import { describe, expect, it } from 'vitest';
import { markErased } from '../erasure/erasure.js';
import { scheduleDeletion, startErasure } from './deletion.js';
import { draft, registration } from './registration.js';
import { type Order, runScheduled, schedule, unschedule } from './scheduled-transitions.js';
import { markProvisioned, register, type Tenant, tenant } from './tenant.js';
import { activate, archive, restore, suspend } from './transitions.js';

const NOW = '2026-01-01T00:00:00.000Z';
const LATER = '2026-02-01T00:00:00.000Z';
const manual = { cause: 'manual' } as const;
const asked = registration(draft({ name: 'Acme' }), {
  operationId: 'op-1',
  slug: 'acme',
  domain: { type: 'subdomain', host: 'acme.tenantry.localhost', ssl: true },
  plan: { ...shippedPlans.free, id: 'free', version: 1 },
  now: NOW,
});
type Decide = (state: Tenant) => { type: string; data: unknown }[];
const given = (...decisions: Decide[]): Tenant =>
  decisions.reduce<Tenant>(
    (state, decide) => fold(tenant, decide(state).map((event) => ({ ...event, recordedAt: NOW }) as StoredEvent) as never, state),
    tenant.initial,
  );
const active = [register(asked), markProvisioned('op-1', NOW), activate({ cause: 'provisioned' }, NOW)] as const;
const order = (change: Partial<Order> = {}): Order => ({
  ...{ transitionId: 't-1', command: 'suspend', at: '2026-02-01T01:00:00+01:00', cause: 'payment', reason: 'unpaid' },
  ...change,
});
const types = (events: { type: string }[]) => events.map(({ type }) => type);

describe('a scheduled transition', () => {
  it('is kept with its instant in UTC until its time comes', () => {
    expect(given(...active, schedule(order(), NOW))).toMatchObject({
      status: 'active',
      scheduled: { 't-1': { command: 'suspend', at: LATER, cause: 'payment' } },
    });
  });
  it('must lie in the future', () =>
    expect(() => schedule(order({ at: NOW }), NOW)(given(...active))).toThrow(
      expect.objectContaining({ code: 'request.invalid', errors: [expect.objectContaining({ field: 'at', rule: 'future' })] }),
    ));
  it('is one of fifty at most', () => {
    const many = Array.from({ length: 50 }, (_, n) => schedule(order({ transitionId: `t-${n}` }), NOW));
    expect(() => schedule(order({ transitionId: 'one-more' }), NOW)(given(...active, ...many))).toThrow(/50 scheduled/);
  });
  it('is not made for a tenant that is being erased', () => {
    const erased = given(
      ...active,
      scheduleDeletion({ ...manual, operationId: 'op-2', graceDays: 0, confirm: 'acme' }, NOW),
      startErasure('op-2', NOW),
    );
    expect(() => schedule(order({ command: 'undelete' }), NOW)(erased)).toThrow(/erasure has begun/);
  });
  it('goes with the tenant: nothing is recorded of one that was erased', () => {
    const erased = given(
      ...active,
      schedule(order(), NOW),
      scheduleDeletion({ ...manual, operationId: 'op-2', graceDays: 0, confirm: 'acme' }, NOW),
      startErasure('op-2', NOW),
      markErased('op-2', NOW),
    );
    expect(erased).toMatchObject({ status: 'deleted', scheduled: {} });
    expect(runScheduled('t-1', suspend({ cause: 'payment' }, LATER), LATER)(erased)).toEqual([]);
  });
  it('is done when its time comes, once, and by nobody else', () => {
    const scheduled = given(...active, schedule(order(), NOW));
    const run = runScheduled('t-1', suspend({ cause: 'payment', reason: 'unpaid' }, LATER), LATER);
    const events = run(scheduled);
    expect(types(events)).toEqual(['TransitionEnded', 'TenantSuspended']);
    expect(events[0]).toMatchObject({ data: { outcome: 'done', error: null } });
    const after = given(...active, schedule(order(), NOW), run);
    expect(after).toMatchObject({ status: 'suspended', scheduled: {} });
    expect(run(after)).toEqual([]);
  });
  it('is done without a trace but its own where the tenant is there already', () => {
    const state = given(...active, schedule(order(), NOW), suspend(manual, NOW));
    expect(types(runScheduled('t-1', suspend(manual, LATER), LATER)(state))).toEqual(['TransitionEnded']);
  });
  it('that is refused by then ends with the reason', () => {
    const state = given(...active, schedule(order({ command: 'restore' }), NOW), archive(manual, NOW), restore(manual, NOW));
    const refused = runScheduled('t-1', suspend(manual, LATER), LATER)(given(register(asked), schedule(order(), NOW)));
    expect(refused).toMatchObject([
      { type: 'TransitionEnded', data: { command: 'suspend', outcome: 'refused', error: { code: 'tenant.transition_not_allowed' } } },
    ]);
    expect(state).toMatchObject({ status: 'active', scheduled: { 't-1': { command: 'restore' } } });
  });
  it('does not hide what is broken', () => {
    const broken = () => {
      throw new TypeError('broken');
    };
    expect(() => runScheduled('t-1', broken, LATER)(given(...active, schedule(order(), NOW)))).toThrow(TypeError);
  });
  it('can be taken back, once', () => {
    const state = given(...active, schedule(order(), NOW), unschedule('t-1', NOW));
    expect(state).toMatchObject({ scheduled: {} });
    expect(() => unschedule('t-1', NOW)(state)).toThrow(expect.objectContaining({ code: 'transition.not_found' }));
    expect(runScheduled('t-1', suspend(manual, LATER), LATER)(state)).toEqual([]);
  });
  it('ends with the tenant’s archiving, but for its return', () => {
    const state = given(
      ...active,
      schedule(order(), NOW),
      schedule(order({ transitionId: 't-2', command: 'restore' }), NOW),
      schedule(order({ transitionId: 't-3', command: 'archive' }), NOW),
      runScheduled('t-3', archive(manual, LATER), LATER),
    );
    expect(state).toMatchObject({ status: 'archived', scheduled: { 't-2': { command: 'restore' } } });
    expect(Object.keys((state as { scheduled: object }).scheduled)).toEqual(['t-2']);
  });
});
