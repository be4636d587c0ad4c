import { DomainError } from '@tenantry/contracts/errors';
import { expect, it } from 'vitest';
import { findingOf, ok } from './finding.js';

it('a check that breaks or hangs is a finding like any other', async () => {
  const late = findingOf({ check: 'slow', look: () => new Promise(() => undefined) }, 10);
  const findings = await Promise.all([
    findingOf({ check: 'fine', look: async () => ok('as it should be') }),
    findingOf({ check: 'known', look: () => Promise.reject(new DomainError('placement.not_found')) }),
    findingOf({ check: 'broken', look: () => Promise.reject(new Error('password is hunter2')) }),
    late,
  ]);
  expect(findings.map(({ check, status }) => [check, status])).toEqual([
    ['fine', 'ok'],
    ['known', 'failed'],
    ['broken', 'failed'],
    ['slow', 'failed'],
  ]);
  expect(findings[1]?.remedy).toContain('retry');
  expect(JSON.stringify(findings)).not.toContain('hunter2');
});
