import type { Attempt } from '@tenantry/contracts/platform/isolation';
import type { Placement } from '@tenantry/tenancy/placement';

/** Whose boundaries are tried, and the tenant that stands for all others. */
export interface Subject {
  tenantId: string;
  placement: Placement;
  /** Another tenant with a place, not a relative; null where there is none. */
  peer: { tenantId: string; placement: Placement } | null;
  /** Stands for this check in file names and subjects. */
  nonce: string;
}

/** Tries to cross one kind of boundary. Harmless where it gives way: nothing is changed that stays. */
export abstract class Probe {
  /** @throws where it could not be found out: the whole is tried again later */
  abstract attempts(subject: Subject, signal: AbortSignal): Promise<Attempt[]>;
}

/** An attempt that needs another tenant, where there is none. */
export const alone = (boundary: Attempt['boundary'], target: string): Attempt => ({
  ...{ boundary, target, attempt: 'as another tenant', outcome: 'not_applicable' },
  detail: 'There is no other tenant that could try it',
});
