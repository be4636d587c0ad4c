import { approvableCommands } from '@tenantry/contracts/config/approval-routes';
import { settingCategories } from '@tenantry/contracts/config/events';
import type { ApprovalPolicy } from '@tenantry/contracts/platform/events';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { demandOf, demandOfChange, setUnapproved } from './policies.js';

const policy = (over: Partial<ApprovalPolicy>): ApprovalPolicy => ({ approvers: 1, expiresHours: 24, ...over });
const suspension = policy({ commands: ['suspend'], approvers: 2 });

describe('a change of policies', () => {
  it.each<[string, ApprovalPolicy[], ApprovalPolicy[]]>([
    ['is the first', [], [suspension]],
    ['changes nothing', [suspension], [suspension]],
    ['adds one', [suspension], [suspension, policy({ keys: ['token'] })]],
    ['wants more people', [suspension], [{ ...suspension, approvers: 3 }]],
    ['wants them sooner', [suspension], [{ ...suspension, expiresHours: 1 }]],
    ['wants them named', [suspension], [{ ...suspension, named: true }]],
    ['says the same in other words', [policy({ keys: ['a', 'b'] })], [policy({ keys: ['b'] }), policy({ keys: ['a'] })]],
    ['speaks of all settings instead of one', [policy({ keys: ['token'] })], [policy({ commands: ['settings'] })]],
    ['guards plans instead of limits, which it guards too', [policy({ commands: ['limits'] })], [policy({ commands: ['plan'] })]],
    ['takes away one that another is stricter than', [suspension, policy({ commands: ['suspend'] })], [suspension]],
  ])('that %s waits for nobody', (_what, before, after) => expect(demandOfChange(before, after)).toBeNull());

  it.each<[string, ApprovalPolicy[], ApprovalPolicy[]]>([
    ['takes it away', [suspension], []],
    ['names something else', [suspension], [{ ...suspension, commands: ['archive'] }]],
    ['wants fewer people', [suspension], [{ ...suspension, approvers: 1 }]],
    ['waits longer', [suspension], [{ ...suspension, expiresHours: 100 }]],
    ['wants nobody named', [{ ...suspension, named: true }], [suspension]],
    ['guards limits instead of plans', [policy({ commands: ['plan'], approvers: 2 })], [policy({ commands: ['limits'], approvers: 2 })]],
    ['leaves out a key', [policy({ keys: ['a', 'b'], approvers: 2 })], [policy({ keys: ['a'], approvers: 2 })]],
  ])('that %s waits as what it speaks of did', (_what, before, after) =>
    expect(demandOfChange(before, after)).toEqual({ approvers: 2, expiresHours: 24, named: before[0]?.named ?? false }),
  );

  it('waits whatever it is, where a policy speaks of the policies', () => {
    const own = policy({ commands: ['approval-policies'], approvers: 3 });
    expect(demandOfChange([own], [own, suspension])).toMatchObject({ approvers: 3 });
    expect(demandOfChange([own], [own])).toBeNull();
  });

  it('leaves others the time to approve it', () =>
    expect(demandOfChange([{ ...suspension, expiresHours: 0.001 }], [])).toMatchObject({ expiresHours: 1 }));

  it('that others have to approve by now is refused', () => {
    expect(() => setUnapproved([])([suspension])).toThrow(expect.objectContaining({ code: 'approval.needed' }));
    expect(setUnapproved([suspension])([])).toMatchObject([{ type: 'ApprovalPoliciesSet' }]);
  });

  const some = <T>(from: readonly T[]) => fc.subarray([...from], { minLength: 1, maxLength: 3 });
  const policies = fc.array(
    fc.record({
      keys: fc.option(some(['a', 'b', 'c']), { nil: undefined }),
      categories: fc.option(some(settingCategories), { nil: undefined }),
      commands: fc.option(some(['settings', 'suspend', 'plan', 'limits'] as const), { nil: undefined }),
      approvers: fc.integer({ min: 1, max: 3 }),
      expiresHours: fc.constantFrom(1, 24, 72),
      named: fc.boolean(),
    }),
    { maxLength: 4 },
  );
  const touched = fc
    .record({
      keys: fc.subarray(['a', 'b', 'c']),
      category: fc.constantFrom(...settingCategories),
      commands: fc.subarray(approvableCommands.filter((one) => one !== 'settings')),
    })
    .map(({ keys, category, commands }) => ({
      keys: new Set(keys),
      categories: new Set<string>(keys.length > 0 ? [category] : []),
      commands: new Set<string>([...commands, ...(keys.length > 0 ? ['settings'] : []), ...(commands.includes('limits') ? ['plan'] : [])]),
    }));

  it('that waits for nobody leaves nothing with less than it had', () =>
    fc.assert(
      fc.property(policies, policies, touched, (before, after, change) => {
        const was = demandOf(before, change);
        if (demandOfChange(before, after) !== null || was === null) return;
        const is = demandOf(after, change);
        expect(is).not.toBeNull();
        expect(is?.approvers).toBeGreaterThanOrEqual(was.approvers);
        expect(is?.expiresHours).toBeLessThanOrEqual(was.expiresHours);
        if (was.named) expect(is?.named).toBe(true);
      }),
      { numRuns: 2_000 },
    ));
});
