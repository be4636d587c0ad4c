import type { OperationView } from '@tenantry/contracts/tenant/bodies';

type Step = OperationView['steps'][number];

/** The steps of `after` that are not as they were before. At first: all that are not pending. */
export function changes(before: OperationView | null, after: OperationView): Step[] {
  const known = new Map(before?.steps.map((step) => [step.name, step]));
  return after.steps.filter((step) => {
    const old = known.get(step.name);
    if (!old) return step.status !== 'pending';
    return old.status !== step.status || old.attempt !== step.attempt || old.error?.code !== step.error?.code;
  });
}
