import type { Drift } from '@tenantry/contracts/platform/blueprints';
import { type Objects, objectDifferences, printsFrom } from '@tenantry/tenancy/blueprint-objects';

type Prints = Record<string, string>;

/** Names of objects that are not as they are expected, or that nobody expects. Pure. */
export function suspicious(expected: readonly Objects[], found: Prints): boolean {
  const prints: Prints = Object.assign({}, ...expected.map(printsFrom));
  return Object.keys({ ...prints, ...found }).some((object) => prints[object] !== found[object]);
}

/**
 * How a schema differs from what its versions say. `own` is the blueprint in question by version, `others` what else the schema has.
 * @returns null where it is as it should be
 */
export function drift(
  { tenantId, target }: Pick<Drift, 'tenantId' | 'target'>,
  expected: number,
  own: ReadonlyMap<number, Objects>,
  others: readonly Objects[],
  found: Objects,
): Drift | null {
  const foreign = new Set(others.flatMap((objects) => Object.keys(objects)));
  const mine = Object.fromEntries(Object.entries(found).filter(([object]) => !foreign.has(object)));
  const differences = objectDifferences(own.get(expected) ?? {}, mine);
  if (differences.length === 0) return null;
  const same = [...own].find(([, objects]) => objectDifferences(objects, mine).length === 0);
  return { tenantId, target, expected, found: same?.[0] ?? (Object.keys(mine).length === 0 ? 0 : null), differences };
}
