import type { BillingEvent } from '@tenantry/contracts/billing/events';
import { type PlanSnapshot, shippedPlans } from '@tenantry/contracts/plans';
import { fold } from '@tenantry/event-store/aggregate';
import { describe, expect, it } from 'vitest';
import { cancel, endTrial, endTrialEarly, followPlan, type Order, open, subscription, subscriptionView } from './subscription.js';

const tenant = '3f0c9c7e-52a5-4a64-9f0b-0d6a4a3a5d11';
const given = (...events: BillingEvent[]) => fold(subscription, events as never);
const plan = (trialDays: number): PlanSnapshot => ({ ...shippedPlans.business, id: 'business', version: 1, trialDays });
const order = (change: Partial<Order> = {}): Order => ({
  plan: plan(0),
  timezone: 'Europe/Berlin',
  startsAt: '2026-01-31T10:00:00.000Z',
  ...change,
});
const opened = (change?: Partial<Order>) => {
  const [event] = open(order(change))(given());
  if (event?.type !== 'SubscriptionOpened') throw new Error('nothing was opened');
  return event;
};
const trialEnds = '2026-02-14T10:00:00.000Z';
const ended = (): BillingEvent => endTrial(trialEnds)(given(opened({ plan: plan(14) })))[0] as BillingEvent;
const cancelled: BillingEvent = { type: 'SubscriptionCancelled', data: { reason: 'rolled back', cancelledAt: '2026-02-02T00:00:00.000Z' } };

describe('opening a subscription', () => {
  it('embeds plan, price and the first period in the time zone of the tenant', () => {
    expect(opened({ billingEmail: { enc: 'key:text' } }).data).toEqual({
      plan: { id: 'business', version: 1 },
      priceMinor: 79_900,
      currency: 'USD',
      timezone: 'Europe/Berlin',
      billingEmail: { enc: 'key:text' },
      trialEndsAt: null,
      periodStart: '2026-01-31T10:00:00.000Z',
      periodEnd: '2026-02-27T23:00:00.000Z',
      openedAt: '2026-01-31T10:00:00.000Z',
    });
  });
  it('is active at once without a trial, and trialing with one', () => {
    expect(given(opened()).status).toBe('active');
    expect(given(opened({ plan: plan(14) }))).toMatchObject({ status: 'trialing', trialEndsAt: trialEnds, periodEnd: trialEnds });
  });
  it('lets a long trial go on over several periods', () => {
    expect(opened({ plan: plan(60) }).data).toMatchObject({
      trialEndsAt: '2026-04-01T09:00:00.000Z',
      periodEnd: '2026-02-27T23:00:00.000Z',
    });
  });
  it('has no billing address where none was given', () => {
    expect(opened().data).not.toHaveProperty('billingEmail');
  });
  it('does nothing when one is open', () => {
    expect(open(order())(given(opened()))).toEqual([]);
    expect(open(order())(given(opened({ plan: plan(14) })))).toEqual([]);
  });
  it('opens another after a cancellation', () => {
    expect(open(order())(given(opened(), cancelled))).toHaveLength(1);
  });
});

describe('the end of the trial', () => {
  it('begins the first paid period at that instant, without gap or overlap', () => {
    expect(ended()).toEqual({
      type: 'TrialEnded',
      data: { endedAt: trialEnds, periodStart: trialEnds, periodEnd: '2026-03-13T23:00:00.000Z' },
    });
    expect(opened({ plan: plan(14) }).data.periodEnd).toBe(trialEnds);
  });
  it('makes the subscription active', () => {
    expect(given(opened({ plan: plan(14) }), ended()).status).toBe('active');
  });
  it('happens once, however often the timer fires', () => {
    expect(endTrial(trialEnds)(given(opened({ plan: plan(14) }), ended()))).toEqual([]);
  });
  it('is nothing for the timer of an earlier subscription, after a cancellation, or where none was opened', () => {
    expect(endTrial('2026-02-01T10:00:00.000Z')(given(opened({ plan: plan(14) })))).toEqual([]);
    expect(endTrial(trialEnds)(given(opened({ plan: plan(14) }), cancelled))).toEqual([]);
    expect(endTrial(trialEnds)(given())).toEqual([]);
  });
});

describe('a trial of a tenant that is made active early', () => {
  const early = '2026-02-03T09:30:00.000Z';
  it('ends then, and the paid periods count from there', () => {
    const [event] = endTrialEarly(early)(given(opened({ plan: plan(14) })));
    expect(event).toEqual({
      type: 'TrialEnded',
      data: { endedAt: early, periodStart: early, periodEnd: '2026-03-02T23:00:00.000Z' },
    });
    const paid = given(opened({ plan: plan(14) }), event as BillingEvent);
    expect(subscriptionView(tenant, paid, '2026-02-20T00:00:00.000Z')).toMatchObject({
      ...{ status: 'active', trialEndsAt: early, periodStart: early, periodEnd: '2026-03-02T23:00:00.000Z' },
    });
    expect(endTrial(trialEnds)(paid)).toEqual([]);
  });
  it('is left to its timer where it is over anyway, and nothing happens without one', () => {
    expect(endTrialEarly(trialEnds)(given(opened({ plan: plan(14) })))).toEqual([]);
    expect(endTrialEarly(early)(given(opened()))).toEqual([]);
    expect(endTrialEarly(early)(given(opened({ plan: plan(14) }), cancelled))).toEqual([]);
  });
});

describe('cancelling', () => {
  it('is recorded once with its reason', () => {
    expect(cancel('rolled back', '2026-02-02T00:00:00.000Z')(given(opened()))).toEqual([cancelled]);
    expect(cancel('again', '2026-02-03T00:00:00.000Z')(given(opened(), cancelled))).toEqual([]);
    expect(cancel('nothing there', '2026-02-03T00:00:00.000Z')(given())).toEqual([]);
  });
});

describe('the view of a subscription', () => {
  it('shows the period of the moment', () => {
    const state = given(opened());
    expect(subscriptionView(tenant, state, '2026-03-05T00:00:00.000Z')).toEqual({
      tenantId: tenant,
      status: 'active',
      plan: { id: 'business', version: 1 },
      priceMinor: 79_900,
      currency: 'USD',
      trialEndsAt: null,
      periodStart: '2026-02-27T23:00:00.000Z',
      periodEnd: '2026-03-30T22:00:00.000Z',
      timezone: 'Europe/Berlin',
      openedAt: '2026-01-31T10:00:00.000Z',
    });
  });
  it('stands still once cancelled', () => {
    expect(subscriptionView(tenant, given(opened(), cancelled), '2027-01-01T00:00:00.000Z')).toMatchObject({
      status: 'cancelled',
      periodEnd: '2026-02-27T23:00:00.000Z',
    });
  });
  it('is refused where there is none', () => {
    expect(() => subscriptionView(tenant, given(), '2026-01-01T00:00:00.000Z')).toThrow(
      expect.objectContaining({ code: 'subscription.not_found' }),
    );
  });
});

describe('following another plan', () => {
  const now = '2026-03-01T00:00:00.000Z';
  const to = (id: 'free' | 'enterprise', at: number) => followPlan({ ...shippedPlans[id], id, version: 1, trialDays: 0 }, at, now);

  it('takes its price, in the running period and with the running trial', () => {
    const before = given(opened({ plan: plan(14) }));
    const [event] = to('enterprise', 20)(before);
    expect(event?.data).toMatchObject({
      plan: { id: 'enterprise' },
      priceMinor: 199_900,
      before: { plan: { id: 'business' }, priceMinor: 79_900 },
    });
    const state = given(opened({ plan: plan(14) }), event as BillingEvent);
    expect(subscriptionView(tenant, state, now)).toMatchObject({
      plan: { id: 'enterprise', version: 1 },
      priceMinor: 199_900,
      trialEndsAt: trialEnds,
    });
    expect(state.status).toBe('trialing');
  });
  it('is done once, and not by a change of plan that is older', () => {
    const state = given(opened(), ...to('enterprise', 20)(given(opened())));
    expect(to('enterprise', 20)(state)).toEqual([]);
    expect(to('free', 19)(state)).toEqual([]);
    expect(to('free', 21)(state)).toHaveLength(1);
  });
  it('leaves a subscription that ended, or that there is not', () => {
    expect(to('enterprise', 20)(given(opened(), cancelled))).toEqual([]);
    expect(to('enterprise', 20)(given())).toEqual([]);
  });
});
