import { describe, expect, it } from 'vitest';
import {
  create,
  type EventSubscription,
  eventSubscription,
  followTenant,
  pause,
  replay,
  resume,
  revoke,
  rotate,
} from './event-subscription.js';

const subscriptionId = 'b6f1c0de-0000-4000-8000-000000000001';
const at = '2026-01-01T00:00:00.000Z';
const created = create({
  ...{ subscriptionId, name: 'warehouse', tenants: 'all', contexts: ['tenant'], types: null },
  ...{ from: 'new', startsAt: { all: at }, account: 'AB', createdAt: at },
});
type Decision = (state: EventSubscription) => { type: string }[];
/** The state after these decisions, each on what the one before it left. */
const after = (...decisions: Decision[]): EventSubscription =>
  decisions.reduce<EventSubscription>(
    (state, decide) => decide(state).reduce((from, event) => eventSubscription.evolve(from, event as never), state),
    eventSubscription.initial,
  );
const types = (decide: Decision, state: EventSubscription) => decide(state).map(({ type }) => type);

describe('an event subscription', () => {
  it('is active with its first credentials', () => {
    expect(after(created)).toMatchObject({ status: 'active', credentials: 1, start: { generation: 1, from: 'new' }, revokedAt: null });
  });
  it('is created once', () => {
    expect(types(created, after(created))).toEqual([]);
  });
  it('is paused and resumed, each once', () => {
    expect(after(created, pause(at))).toMatchObject({ status: 'paused' });
    expect(types(pause(at), after(created, pause(at)))).toEqual([]);
    expect(after(created, pause(at), resume(at))).toMatchObject({ status: 'active' });
    expect(types(resume(at), after(created))).toEqual([]);
  });
  it('counts its credentials, paused or not', () => {
    expect(after(created, rotate(at), pause(at), rotate(at))).toMatchObject({ status: 'paused', credentials: 3 });
  });
  it('begins again with every replay, and leaves the rest as it is', () => {
    const state = after(created, replay({ from: 'first', startsAt: null }, at), replay({ from: 'first', startsAt: null }, at));
    expect(state).toMatchObject({ status: 'active', credentials: 1, start: { generation: 3, from: 'first', startsAt: null } });
  });
  it('stays revoked', () => {
    const revoked = after(created, revoke('manual', at));
    expect(revoked).toMatchObject({ status: 'revoked', revokedAt: at });
    expect(types(revoke('manual', at), revoked)).toEqual([]);
    for (const change of [pause(at), resume(at), rotate(at), replay({ from: 'first', startsAt: null }, at)])
      expect(() => change(revoked)).toThrow(expect.objectContaining({ code: 'event_subscription.revoked' }));
  });
  it('must be there', () => {
    for (const change of [pause(at), resume(at), rotate(at), revoke('manual', at), replay({ from: 'first', startsAt: null }, at)])
      expect(() => change({ status: 'none' })).toThrow(expect.objectContaining({ code: 'event_subscription.not_found' }));
  });
});

describe('an event subscription of a tenant that may not be used', () => {
  const [closes, opens] = [followTenant(false, at), followTenant(true, at)];

  it('is paused, once, and goes on with the tenant', () => {
    const paused = after(created, closes);
    expect(paused).toMatchObject({ status: 'paused' });
    expect(types(closes, paused)).toEqual([]);
    expect(after(created, closes, opens)).toMatchObject({ status: 'active' });
    expect(types(opens, after(created))).toEqual([]);
  });
  it('stays paused where somebody paused it, before or meanwhile', () => {
    expect(after(created, pause(at), closes, opens)).toMatchObject({ status: 'paused' });
    expect(after(created, closes, pause(at), opens)).toMatchObject({ status: 'paused' });
  });
  it('goes on where somebody wants that', () => {
    const resumed = after(created, closes, resume(at));
    expect(resumed).toMatchObject({ status: 'active' });
    expect(types(opens, resumed)).toEqual([]);
  });
  it('stays revoked', () => {
    for (const follow of [closes, opens]) expect(types(follow, after(created, closes, revoke('manual', at)))).toEqual([]);
  });
  it('need not be there', () => {
    for (const follow of [closes, opens]) expect(types(follow, { status: 'none' })).toEqual([]);
  });
});
