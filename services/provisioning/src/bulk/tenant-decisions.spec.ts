import { describe, expect, it } from 'vitest';
import type { Tenant } from '../tenant/tenant.js';
import { changeTags } from './tenant-decisions.job.js';

const having = (tags: string[]) => ({ status: 'active', tags }) as Tenant;

describe('the tags of many tenants', () => {
  it('are added and removed, and those that are not named stay', () => {
    expect(changeTags({ add: ['b', 'c'], remove: ['a'] })(having(['a', 'b', 'x']))).toEqual([
      { type: 'TenantUpdated', data: { tags: ['b', 'x', 'c'], before: { tags: ['a', 'b', 'x'] } } },
    ]);
  });

  it('change nothing where a tenant has them already', () => {
    expect(changeTags({ add: ['a'], remove: ['z'] })(having(['a']))).toEqual([]);
  });

  it('are refused where there would be too many', () => {
    const many = Array.from({ length: 50 }, (_, index) => `t${index}`);
    expect(() => changeTags({ add: ['new'] })(having(many))).toThrow(expect.objectContaining({ code: 'request.invalid' }));
    expect(() => changeTags({ add: ['new'] })({ status: 'none' })).toThrow(expect.objectContaining({ code: 'tenant.not_found' }));
  });
});
