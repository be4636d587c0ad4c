import { periodAt, trialEnd } from '@tenantry/contracts/billing/period';
import type { Instant } from '@tenantry/contracts/clock';
import { DomainError } from '@tenantry/contracts/errors';
import { type PlanSnapshot, type Resource, resourceNames, resources } from '@tenantry/contracts/plans';
import { type QuotaEvent, quotaEvents } from '@tenantry/contracts/quota/events';
import type { Limits } from '@tenantry/contracts/quota/limits';
import { aggregate } from '@tenantry/event-store/aggregate';

type Assigned = Extract<QuotaEvent, { type: 'QuotasAssigned' }>['data'];
/** `planPosition`: of the change of plan that the limits follow from; null for those of the first plan. */
export type Quotas = { status: 'none' } | ({ status: 'assigned'; planPosition: number | null } & Assigned) | { status: 'withdrawn' };

/** What a tenant may use. Stream `quotas`, one per tenant. What it has used is in the ledger. */
export const quotas = aggregate<Quotas, typeof quotaEvents>({
  stream: 'quotas',
  events: quotaEvents,
  initial: { status: 'none' },
  evolve: (state, event): Quotas => {
    switch (event.type) {
      case 'QuotasAssigned':
        return { status: 'assigned', planPosition: null, ...event.data };
      case 'QuotasChanged': {
        if (state.status !== 'assigned') return state;
        const { plan, retentionDays, quotas: limits, planPosition } = event.data;
        return { ...state, plan, retentionDays, quotas: limits, planPosition };
      }
      case 'LimitsChanged':
        return state.status === 'assigned' ? { ...state, quotas: event.data.quotas } : state;
      case 'QuotasWithdrawn':
        return { status: 'withdrawn' };
      default:
        event satisfies never;
        return state;
    }
  },
});

export interface Entitlement {
  plan: PlanSnapshot;
  /** Limits by resource that replace the plan's; null is unlimited. */
  overrides: Record<string, number | null>;
  timezone: string;
  startsAt: Instant;
  parentId?: string;
}

/**
 * Every known resource gets a quota: the override's limit, else the plan's, else none (metered and unlimited).
 * @throws DomainError `quota.unknown_resource`: a limit of something that is not metered would hold nobody back
 */
export const assign =
  ({ plan, overrides, timezone, startsAt, parentId }: Entitlement) =>
  (state: Quotas): QuotaEvent[] => {
    if (state.status === 'assigned') return [];
    refuseUnknown('plan.limits', plan.limits);
    refuseUnknown('overrides', overrides);
    const period = periodAt({ startsAt, trialEndsAt: trialEnd(startsAt, plan.trialDays, timezone), timezone }, startsAt);
    return [
      {
        type: 'QuotasAssigned',
        data: {
          plan: { id: plan.id, version: plan.version },
          retentionDays: plan.retentionDays,
          timezone,
          quotas: resourceNames.map((resource) => ({ resource, ...resources[resource], ...limitOf(resource, plan, overrides) })),
          periodStart: period.start,
          periodEnd: period.end,
          parentId,
        },
      },
    ];
  };

/**
 * Limits and retention of the tenant's new plan; limits that override a plan's stay. `planPosition` is that of the change of plan: what
 * follows from an older one than the limits that there are changes nothing. What is used stays, also above a lower limit.
 * @throws DomainError `quota.unknown_resource`
 */
export const followPlan =
  (plan: PlanSnapshot, planPosition: number, now: Instant) =>
  (state: Quotas): QuotaEvent[] => {
    if (state.status !== 'assigned' || (state.planPosition ?? -1) >= planPosition) return [];
    refuseUnknown('plan.limits', plan.limits);
    const { plan: oldPlan, retentionDays, quotas: limits } = state;
    return [
      {
        type: 'QuotasChanged',
        data: {
          plan: { id: plan.id, version: plan.version },
          retentionDays: plan.retentionDays,
          quotas: limits.map((quota) => (quota.source === 'override' ? quota : { ...quota, limit: plan.limits[quota.resource] ?? null })),
          before: { plan: oldPlan, retentionDays, quotas: limits },
          planPosition,
          changedAt: now,
        },
      },
    ];
  };

/** The limits of a plan, where a limit is to be its again. */
export type PlanLimits = Pick<PlanSnapshot, 'id' | 'version' | 'limits'>;

/**
 * Limits of the tenant's own, or of its plan again; those that aren't named stay. What is used stays, also above a lower limit.
 * @throws DomainError `quota.unknown_resource`; `tenant.not_ready` without quotas; `log.conflict` where the tenant has another plan by now
 */
export const override =
  (wanted: Limits, plan: PlanLimits | null, now: Instant) =>
  (state: Quotas): QuotaEvent[] => {
    if (state.status !== 'assigned') throw new DomainError('tenant.not_ready', { detail: 'The tenant has no quotas yet.' });
    refuseUnknown('limits', wanted);
    const isOfPlan = Object.values(wanted).includes('plan');
    if (isOfPlan && (plan?.id !== state.plan.id || plan.version !== state.plan.version))
      throw new DomainError('log.conflict', { detail: "The limits don't follow the tenant's new plan yet; ask again." });
    const { quotas: before } = state;
    const after = before.map((quota) => {
      const limit = Object.hasOwn(wanted, quota.resource) ? wanted[quota.resource] : undefined;
      if (limit === undefined) return quota;
      if (limit !== 'plan') return { ...quota, limit, source: 'override' as const };
      return { ...quota, limit: plan?.limits[quota.resource] ?? null, source: 'plan' as const };
    });
    if (isSame(before, after)) return [];
    return [{ type: 'LimitsChanged', data: { quotas: after, before: { quotas: before }, changedAt: now } }];
  };

const isSame = (before: Assigned['quotas'], after: Assigned['quotas']): boolean =>
  before.every(({ limit, source }, index) => after[index]?.limit === limit && after[index]?.source === source);

/** Whether the limits of a tenant with that plan bound the sum of its own use and its children's. */
export const poolsLimits = ({ features }: Pick<PlanSnapshot, 'features'>): boolean => features.includes('pooled_limits');

export const withdraw =
  (now: Instant) =>
  (state: Quotas): QuotaEvent[] =>
    state.status === 'assigned' ? [{ type: 'QuotasWithdrawn', data: { withdrawnAt: now } }] : [];

function limitOf(resource: Resource, plan: PlanSnapshot, overrides: Entitlement['overrides']) {
  const override = Object.hasOwn(overrides, resource) ? overrides[resource] : undefined;
  if (override !== undefined) return { limit: override, source: 'override' as const };
  return { limit: plan.limits[resource] ?? null, source: 'plan' as const };
}

function refuseUnknown(field: string, limits: Record<string, unknown>): void {
  const unknown = Object.keys(limits).filter((name) => !Object.hasOwn(resources, name));
  if (unknown.length === 0) return;
  const message = `is not one of the metered resources: ${resourceNames.join(', ')}`;
  throw new DomainError('quota.unknown_resource', {
    detail: `A limit names something that is not metered: ${unknown.join(', ')}.`,
    errors: unknown.map((name) => ({ field: `${field}.${name}`, rule: 'known_resource', message })),
  });
}
