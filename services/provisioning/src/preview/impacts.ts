import type { PlanTerms } from '@tenantry/contracts/plans';
import { SecurityLevel } from '@tenantry/contracts/plans';
import type { Preview } from '@tenantry/contracts/tenant/config-routes';

type Impact = Preview['impacts'][number];
type Terms = PlanTerms & { id: string };
/** What is used of a resource now, and what its limit will be. Null is unlimited. */
export interface Use {
  resource: string;
  unit: string;
  used: number;
  from: number | null;
  to: number | null;
}

const money = (minor: number, currency: string): string => {
  const digits = new Intl.NumberFormat('en', { style: 'currency', currency }).resolvedOptions().maximumFractionDigits ?? 2;
  return `${(minor / 10 ** digits).toFixed(digits)} ${currency}`;
};
const amount = (limit: number | null, unit: string): string =>
  limit === null ? 'unlimited' : `${limit}${unit === 'count' ? '' : ` ${unit}`}`;

/** What follows from another plan, in words. Pure. */
export function planImpacts(from: Terms, to: Terms, kept: Record<string, boolean>, uses: readonly Use[]): Impact[] {
  const lost = from.features.filter((flag) => !to.features.includes(flag) && !kept[flag]);
  const gained = to.features.filter((flag) => !from.features.includes(flag));
  const levels = SecurityLevel.options;
  return [
    ...(from.priceMinor === to.priceMinor && from.currency === to.currency
      ? []
      : [
          {
            kind: 'price' as const,
            detail: `A month costs ${money(to.priceMinor, to.currency)} instead of ${money(from.priceMinor, from.currency)}.`,
          },
        ]),
    ...uses.flatMap((use) => limitImpacts(use)),
    ...lost.map((flag) => ({ kind: 'feature_lost' as const, detail: `${flag} is not part of the plan ${to.id}.` })),
    ...gained.map((flag) => ({ kind: 'feature_gained' as const, detail: `${flag} is part of the plan ${to.id}.` })),
    ...(to.retentionDays < from.retentionDays
      ? [
          {
            kind: 'retention' as const,
            detail: `Usage logs and audit entries are kept for ${to.retentionDays} days instead of ${from.retentionDays}.`,
          },
        ]
      : []),
    ...(levels.indexOf(to.securityLevel) < levels.indexOf(from.securityLevel)
      ? [{ kind: 'security' as const, detail: `The plan's security level is ${to.securityLevel} instead of ${from.securityLevel}.` }]
      : []),
  ];
}

function limitImpacts({ resource, unit, used, from, to }: Use): Impact[] {
  if (to !== null && used > to)
    return [
      {
        kind: 'over_limit',
        detail: `${amount(used, unit)} of ${resource} are used, and the limit will be ${amount(to, unit)}: nothing more can be added until less is used.`,
      },
    ];
  if (to !== null && (from === null || to < from))
    return [{ kind: 'limit', detail: `The limit of ${resource} is ${amount(to, unit)} instead of ${amount(from, unit)}.` }];
  return [];
}
