import type { QuotaLimit } from '@tenantry/contracts/quota/events';
import type { Preview } from '@tenantry/contracts/tenant/config-routes';
import type { z } from 'zod';
import type { Standing } from '../usage/usage.js';

const amount = (limit: number | null, unit: string): string =>
  limit === null ? 'unlimited' : `${limit}${unit === 'count' ? '' : ` ${unit}`}`;

/** What follows from other limits, in words. Pure. */
export function limitImpacts(before: readonly Standing[], after: readonly z.infer<typeof QuotaLimit>[]): Preview['impacts'] {
  const standings = new Map(before.map((standing) => [standing.resource, standing]));
  return after.flatMap(({ resource, unit, limit: to }): Preview['impacts'] => {
    const { used = 0, limit: from = null } = standings.get(resource) ?? {};
    if (to === from || to === null) return [];
    if (used > to)
      return [
        {
          kind: 'over_limit',
          detail: `${amount(used, unit)} of ${resource} are used, and the limit is ${amount(to, unit)}: nothing more can be added until less is used.`,
        },
      ];
    if (from !== null && to > from) return [];
    return [{ kind: 'limit', detail: `The limit of ${resource} is ${amount(to, unit)} instead of ${amount(from, unit)}.` }];
  });
}
