import { type BillingEvent, billingEvents } from '@tenantry/contracts/billing/events';
import { type Cycle, periodAt, trialEnd } from '@tenantry/contracts/billing/period';
import type { SubscriptionView } from '@tenantry/contracts/billing/routes';
import type { Instant } from '@tenantry/contracts/clock';
import { DomainError } from '@tenantry/contracts/errors';
import type { Personal } from '@tenantry/contracts/events';
import type { PlanSnapshot } from '@tenantry/contracts/plans';
import { aggregate } from '@tenantry/event-store/aggregate';

/** `planPosition`: of the tenant's change of plan that the terms follow from; absent for those of the first plan. */
type Opened = Extract<BillingEvent, { type: 'SubscriptionOpened' }>['data'] & { planPosition?: number };
export type Subscription =
  | { status: 'none' }
  | ({ status: 'trialing'; trialEndsAt: Instant } & Opened)
  | ({ status: 'active' } & Opened)
  | ({ status: 'cancelled'; reason: string; cancelledAt: Instant } & Opened);

/** A tenant's subscription to a plan. Stream `subscription`, one per tenant. */
export const subscription = aggregate<Subscription, typeof billingEvents>({
  stream: 'subscription',
  events: billingEvents,
  initial: { status: 'none' },
  evolve: (state, event): Subscription => {
    switch (event.type) {
      case 'SubscriptionOpened': {
        const { trialEndsAt } = event.data;
        return trialEndsAt === null ? { ...event.data, status: 'active' } : { ...event.data, status: 'trialing', trialEndsAt };
      }
      case 'SubscriptionPlanChanged': {
        if (state.status === 'none') return state;
        const { plan, priceMinor, currency, planPosition } = event.data;
        return { ...state, plan, priceMinor, currency, planPosition };
      }
      case 'TrialEnded':
        return state.status === 'trialing' ? { ...state, status: 'active', trialEndsAt: event.data.endedAt } : state;
      case 'SubscriptionCancelled':
        return state.status === 'none' ? state : { ...state, status: 'cancelled', ...event.data };
      default:
        event satisfies never;
        return state;
    }
  },
});

export interface Order {
  plan: PlanSnapshot;
  timezone: string;
  startsAt: Instant;
  billingEmail?: Personal;
}

/** Opens a subscription with the plan's price, or with its trial first. One that is open stays as it is. */
export const open =
  ({ plan, timezone, startsAt, billingEmail }: Order) =>
  (state: Subscription): BillingEvent[] => {
    if (state.status === 'trialing' || state.status === 'active') return [];
    const trialEndsAt = trialEnd(startsAt, plan.trialDays, timezone);
    const period = periodAt({ startsAt, trialEndsAt, timezone }, startsAt);
    return [
      {
        type: 'SubscriptionOpened',
        data: {
          plan: { id: plan.id, version: plan.version },
          priceMinor: plan.priceMinor,
          currency: plan.currency,
          timezone,
          ...(billingEmail === undefined ? {} : { billingEmail }),
          trialEndsAt,
          periodStart: period.start,
          periodEnd: period.end,
          openedAt: startsAt,
        },
      },
    ];
  };

/**
 * The plan and price of the tenant's new plan, from now on: without proration, so the running period costs what the plan at its end does.
 * `planPosition` is that of the change of plan: what follows from an older one than the terms that there are changes nothing.
 */
export const followPlan =
  (plan: PlanSnapshot, planPosition: number, now: Instant) =>
  (state: Subscription): BillingEvent[] => {
    if (state.status !== 'trialing' && state.status !== 'active') return [];
    if ((state.planPosition ?? -1) >= planPosition) return [];
    return [
      {
        type: 'SubscriptionPlanChanged',
        data: {
          plan: { id: plan.id, version: plan.version },
          priceMinor: plan.priceMinor,
          currency: plan.currency,
          before: { plan: state.plan, priceMinor: state.priceMinor, currency: state.currency },
          planPosition,
          changedAt: now,
        },
      },
    ];
  };

/** The trial that was to end at `dueAt` ends, and the first paid period begins at that instant. Nothing for any other trial. */
export const endTrial =
  (dueAt: Instant) =>
  (state: Subscription): BillingEvent[] => {
    if (state.status !== 'trialing' || Date.parse(state.trialEndsAt) !== Date.parse(dueAt)) return [];
    return [trialEnded(state, state.trialEndsAt)];
  };

/** The tenant was made active before its trial was over: the first paid period begins now. */
export const endTrialEarly =
  (now: Instant) =>
  (state: Subscription): BillingEvent[] =>
    state.status === 'trialing' && Date.parse(now) < Date.parse(state.trialEndsAt) ? [trialEnded(state, now)] : [];

function trialEnded(state: Opened, endedAt: Instant): BillingEvent {
  const period = periodAt(cycleOf({ ...state, trialEndsAt: endedAt }), endedAt);
  return { type: 'TrialEnded', data: { endedAt, periodStart: period.start, periodEnd: period.end } };
}

export const cancel =
  (reason: string, now: Instant) =>
  (state: Subscription): BillingEvent[] =>
    state.status === 'trialing' || state.status === 'active' ? [{ type: 'SubscriptionCancelled', data: { reason, cancelledAt: now } }] : [];

const cycleOf = ({ openedAt, trialEndsAt, timezone }: Opened): Cycle => ({ startsAt: openedAt, trialEndsAt, timezone });

/**
 * How a subscription looks at an instant; a cancelled one as it was when it ended.
 * @throws DomainError `subscription.not_found`
 */
export function subscriptionView(tenantId: string, state: Subscription, now: Instant): SubscriptionView {
  if (state.status === 'none') throw new DomainError('subscription.not_found');
  const { status, plan, priceMinor, currency, trialEndsAt, timezone, openedAt } = state;
  const period = periodAt(cycleOf(state), state.status === 'cancelled' ? state.cancelledAt : now);
  return {
    tenantId,
    status,
    plan,
    priceMinor,
    currency,
    trialEndsAt,
    periodStart: period.start,
    periodEnd: period.end,
    timezone,
    openedAt,
  };
}
