import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { planned, waves } from './campaign-plan.js';
import type { CampaignTarget } from './campaign-targets.js';

const target = (tenantId: string | null, version = 0): CampaignTarget => ({
  ...{ tenantId, version, isolation: tenantId === null ? 'shared' : 'dedicated', server: 'default', database: 'tenantry' },
  ...{ appSchema: tenantId === null ? 'app_shared' : `app_${tenantId}`, role: 'r', generation: 1, isKnown: true },
});
const own = (n: number) => Array.from({ length: n }, (_, index) => target(`t${index}`));
const sizes = (items: { wave?: number }[]) => {
  const found: Record<number, number> = {};
  for (const { wave = -1 } of items) found[wave] = (found[wave] ?? 0) + 1;
  return found;
};

describe('waves of a campaign', () => {
  it('are one without a canary unless they are asked for', () => expect(sizes(waves(own(5), [], { toVersion: 1 }))).toEqual({ 1: 5 }));
  it('begin with the canary and end with app_shared', () => {
    const items = waves(own(12), [target(null)], { toVersion: 1, canary: 2, waves: [10, 50] });
    expect(sizes(items)).toEqual({ 0: 2, 1: 1, 2: 4, 3: 6 });
    expect(items.at(-1)).toEqual({ tenantId: null, target: 'tenantry.app_shared', wave: 3 });
  });
  it('have each target once, in waves without holes that never go back', () =>
    fc.assert(
      fc.property(
        fc.nat(300),
        fc.nat(50),
        fc.uniqueArray(fc.integer({ min: 1, max: 100 }), { maxLength: 6 }).map((shares) => shares.sort((a, b) => a - b)),
        fc.boolean(),
        (n, canary, shares, withShared) => {
          const items = waves(own(n), withShared ? [target(null)] : [], {
            toVersion: 1,
            canary,
            waves: shares.length > 0 ? shares : undefined,
          });
          expect(items).toHaveLength(n + (withShared ? 1 : 0));
          expect(new Set(items.map(({ target: name }) => name)).size).toBe(items.length);
          const order = items.map(({ wave = -1 }) => wave);
          expect(order).toEqual([...order].sort((a, b) => a - b));
          expect(order.filter((wave) => wave === 0)).toHaveLength(Math.min(n, canary));
        },
      ),
    ));
});

it('a plan counts by wave, level and version', () => {
  const targets = [target('a', 1), target('b'), target(null, 1)];
  const items = waves(targets.slice(0, 2), targets.slice(2), { toVersion: 2, canary: 1 });
  expect(planned(targets, items, 7, ['SELECT 1'])).toEqual({
    ...{ matched: 3, upToDate: 7, byIsolation: { dedicated: 2, shared: 1 }, statements: ['SELECT 1'] },
    waves: [
      { wave: 0, targets: 1 },
      { wave: 1, targets: 2 },
    ],
    byVersion: [
      { version: 0, targets: 1 },
      { version: 1, targets: 2 },
    ],
    sample: items.map(({ tenantId, target: name }) => ({ tenantId, target: name })),
  });
});
