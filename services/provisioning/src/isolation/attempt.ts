import type { Attempt, verdicts } from '@tenantry/contracts/platform/isolation';

export type Tried = Omit<Attempt, 'boundary' | 'target'>;

export const held = (attempt: string, detail: string): Tried => ({ attempt, outcome: 'held', detail });
export const breached = (attempt: string, detail: string): Tried => ({ attempt, outcome: 'breached', detail });
export const notApplicable = (attempt: string, detail: string): Tried => ({ attempt, outcome: 'not_applicable', detail });

/** At one boundary that gives way, all of it does. */
export const verdictOf = (attempts: readonly Attempt[]): (typeof verdicts)[number] =>
  attempts.some(({ outcome }) => outcome === 'breached') ? 'breached' : 'held';
