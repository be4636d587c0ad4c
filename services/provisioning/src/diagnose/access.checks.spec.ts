import { expect, it } from 'vitest';
import { domainsResult, limitsResult } from './access.checks.js';

const row = (resource_type: string, current_usage: number, quota_limit: number | null) => ({ resource_type, current_usage, quota_limit });

it('names limits that are used up before those that soon will be', () => {
  expect(limitsResult([row('users', 5, 5), row('storage', 90, 100)])).toMatchObject({
    status: 'failed',
    detail: expect.stringContaining('users 5 of 5'),
  });
  expect(limitsResult([row('users', 1, 5), row('storage', 80, 100)])).toMatchObject({
    status: 'warning',
    detail: expect.stringContaining('storage'),
  });
  expect(limitsResult([row('users', 1, 5), row('devices', 9_999, null), row('alerts', 0, 0)]).status).toBe('ok');
});

it('says which records a custom host still needs', () => {
  const pending = {
    host: 'shop.example',
    type: 'custom',
    status: 'pending',
    records: [{ type: 'TXT', name: '_tenantry.shop.example', value: 'x1' }],
  };
  expect(domainsResult([pending])).toMatchObject({ status: 'warning', remedy: expect.stringContaining('TXT _tenantry.shop.example x1') });
  expect(domainsResult([]).status).toBe('failed');
});
