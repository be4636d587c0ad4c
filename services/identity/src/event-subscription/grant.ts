import { eventTypes } from '@tenantry/contracts/catalogue';
import { DomainError, type FieldError } from '@tenantry/contracts/errors';
import type { Context } from '@tenantry/contracts/events';
import { MAX_CONSUMERS } from '@tenantry/contracts/identity/event-subscriptions';
import { invalid } from '@tenantry/service/validation';

/** Which events a subscription may read. Types are a choice within it, left to the subscriber: completeness is proven by context. */
export interface Grant {
  tenants: 'all' | string[];
  contexts: 'all' | Context[];
  types: string[] | null;
}
interface Wanted {
  tenants?: 'all' | string[];
  contexts: 'all' | Context[];
  types?: string[];
}

/**
 * What is asked for, without repetitions and in a fixed order. `own`: the tenant whose own events alone may be read.
 * @throws DomainError `request.invalid` with every fault; `event_subscription.too_wide`
 */
export function grantOf({ tenants = 'all', contexts, types }: Wanted, own: string | null): Grant {
  const errors: FieldError[] = [];
  const known = types?.map((type) => eventTypes.get(type)?.context);
  types?.forEach((type, index) => {
    const context = known?.[index];
    if (context === undefined) errors.push({ field: `types.${index}`, rule: 'unknown', message: `${type} is no type of event` });
    else if (contexts !== 'all' && !contexts.includes(context))
      errors.push({ field: `types.${index}`, rule: 'context', message: `${type} belongs to ${context}, which is not among the contexts` });
  });
  if (own !== null && tenants !== 'all') {
    tenants.forEach((tenantId, index) => {
      if (tenantId.toLowerCase() !== own)
        errors.push({ field: `tenants.${index}`, rule: 'own_tenant', message: 'must be the tenant itself: here are only its own events' });
    });
  }
  if (errors.length > 0) throw invalid(errors);
  const grant: Grant = {
    tenants: own !== null ? [own] : tenants === 'all' ? 'all' : sorted(tenants.map((tenantId) => tenantId.toLowerCase())),
    contexts: contexts === 'all' ? 'all' : sorted(contexts),
    types: types ? sorted(types) : null,
  };
  const count = sizeOf(grant.tenants) * sizeOf(grant.contexts);
  if (count > MAX_CONSUMERS) {
    const detail =
      `${sizeOf(grant.tenants)} tenants × ${sizeOf(grant.contexts)} contexts need ${count} consumers, and a subscription has at most ${MAX_CONSUMERS}: ` +
      'name all contexts ("all" is one consumer per tenant), make several subscriptions, or subscribe to all tenants';
    throw new DomainError('event_subscription.too_wide', {
      detail,
      errors: [{ field: 'tenants', rule: 'max_consumers', message: detail }],
      extensions: { limit: MAX_CONSUMERS, needed: count },
    });
  }
  return grant;
}

const sizeOf = (list: 'all' | readonly unknown[]): number => (list === 'all' ? 1 : list.length);
const sorted = <T extends string>(list: readonly T[]): T[] => [...new Set(list)].sort();

/** One durable consumer. It has one filter, which is never wider than the grant. */
export interface ConsumerPlan {
  name: string;
  filterSubject: string;
  tenantId: string | null;
  context: Context | null;
}

/** One consumer per (tenant or all, context or all), always in the same order under the same names. */
export function consumersOf(subscriptionId: string, { tenants, contexts }: Pick<Grant, 'tenants' | 'contexts'>): ConsumerPlan[] {
  const key = subscriptionId.replaceAll('-', '');
  return (tenants === 'all' ? [null] : tenants).flatMap((tenantId, row) =>
    (contexts === 'all' ? [null] : contexts).map((context, column) => ({
      name: `${CONSUMER_PREFIX}${key}_${row * sizeOf(contexts) + column}`,
      filterSubject: filterOf(tenantId, context),
      tenantId,
      context,
    })),
  );
}

/** Where `tenantry.events.<tenant>.<context>.<type>` is of that tenant and context; null for all. */
export const filterOf = (tenantId: string | null, context: string | null): string =>
  [
    'tenantry.events',
    ...(tenantId === null && context === null ? [] : [tenantId ?? '*']),
    ...(context === null ? [] : [context]),
    '>',
  ].join('.');

const CONSUMER_PREFIX = 'es_';
/** The subscription that a consumer belongs to; null where it is nobody's of these. */
export function subscriptionOf(consumer: string): string | null {
  const [, key] = /^es_([0-9a-f]{32})_\d+$/.exec(consumer) ?? [];
  return key === undefined ? null : key.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
