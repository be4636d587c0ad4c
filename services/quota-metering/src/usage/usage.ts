import { DomainError, invalidField } from '@tenantry/contracts/errors';
import type { ResourceKind } from '@tenantry/contracts/plans';
import type { Quota } from '@tenantry/contracts/quota/routes';
import type { z } from 'zod';

/** A quota as the ledger has it, its period brought up to date. */
export interface Standing {
  resource: string;
  kind: z.infer<typeof ResourceKind>;
  unit: string;
  /** Null is unlimited. */
  limit: number | null;
  /** Of a reseller that pools its limits, its children's use included. */
  used: number;
  periodEnd: string | null;
  /** What the reseller's limit leaves for all its children together; null where nothing of that kind bounds it. */
  poolLeft: number | null;
}

/** What came of trying to consume or give back. `used`, `limit` and `periodEnd` are as of right after it. */
export type Outcome =
  | { outcome: 'changed' | 'repeated' | 'exceeded'; used: number; limit: number | null; periodEnd: string | null }
  | { outcome: 'pool_exceeded'; used: number; limit: number; periodEnd: string | null }
  | { outcome: 'below_zero'; used: number }
  | { outcome: 'not_releasable'; kind: string }
  | { outcome: 'mismatch' | 'too_large' };

/** Only what is above 0 is left: a limit may have been lowered below what is used. Null for no limit. */
export const remainingOf = (limit: number | null, used: number): number | null => (limit === null ? null : Math.max(0, limit - used));

export const quotaView = ({ resource, kind, unit, limit, used, periodEnd }: Standing): Quota => ({
  resource,
  kind,
  unit,
  limit,
  used,
  periodEnd,
});

/** Use in per cent, to two places; null for no limit. Of a limit of 0 everything is used. */
export const percentOf = (limit: number | null, used: number): number | null =>
  limit === null ? null : limit === 0 ? 100 : Math.round((used / limit) * 10_000) / 100;

const smaller = (a: number | null, b: number | null): number | null => (a === null ? b : b === null ? a : Math.min(a, b));

export function allowance({ limit, used, poolLeft }: Standing, amount: number) {
  const remaining = smaller(remainingOf(limit, used), poolLeft);
  return { allowed: amount <= (remaining ?? Number.MAX_SAFE_INTEGER - used), remaining, limit, used };
}

/**
 * The answer to a consumption or release.
 * @throws DomainError `quota.exceeded` (with Retry-After), `idempotency.mismatch`, `request.invalid`
 */
export function answerOf(asked: { resource: string; amount: number }, result: Outcome, nowMs: number) {
  switch (result.outcome) {
    case 'changed':
    case 'repeated':
      return { allowed: true as const, remaining: remainingOf(result.limit, result.used), used: result.used };
    case 'exceeded':
      throw exceeded(asked, result, nowMs);
    case 'pool_exceeded':
      throw exceeded(asked, result, nowMs, ' of the limit that the reseller and all its children share');
    case 'mismatch':
      throw new DomainError('idempotency.mismatch', { detail: 'The same Idempotency-Key came with another request before.' });
    case 'below_zero':
      throw invalidField('amount', 'max', `only ${result.used} of ${asked.resource} are in use, so no more than that can be given back`);
    case 'not_releasable':
      throw invalidField(
        'resource',
        'releasable',
        `${asked.resource} is a ${result.kind}: it starts again with each period and can't be given back`,
      );
    case 'too_large':
      throw invalidField('amount', 'max', `the sum of what is used would pass ${Number.MAX_SAFE_INTEGER}`);
    default:
      return result satisfies never;
  }
}

/** Nobody knows when a gauge has room again: what is held is released by people. So soon it is worth asking again. */
const GAUGE_RETRY_SECONDS = 60;

function exceeded(
  asked: { resource: string; amount: number },
  { limit, used, periodEnd }: Extract<Outcome, { limit: unknown }>,
  nowMs: number,
  whose = '',
) {
  const remaining = remainingOf(limit, used) ?? 0;
  const remedy = periodEnd === null ? 'release some, or raise the limit' : `wait for ${periodEnd}, or raise the limit`;
  return new DomainError('quota.exceeded', {
    detail: `${asked.amount} of ${asked.resource} was asked for, ${remaining} of ${limit} are left${whose}: ${remedy}.`,
    errors: [{ field: 'amount', rule: 'quota', message: `must not exceed the ${remaining} left of ${asked.resource}` }],
    retryAfterSeconds: periodEnd === null ? GAUGE_RETRY_SECONDS : Math.max(1, Math.ceil((Date.parse(periodEnd) - nowMs) / 1000)),
    extensions: { resource: asked.resource, limit, used, remaining },
  });
}

/** @throws always: DomainError `quota.unknown_resource` that lists what there is */
export function refuseUnknownResource(resource: string, known: readonly string[]): never {
  throw invalidField('resource', 'known_resource', `${resource} is not metered; there are ${known.join(', ')}`, 'quota.unknown_resource');
}
