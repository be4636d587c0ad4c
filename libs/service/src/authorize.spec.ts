import type { Principal } from '@tenantry/contracts/route';
import { describe, expect, it } from 'vitest';
import { denial, permits } from './authorize.js';

const staff: Principal = { kind: 'staff', id: 's', permissions: ['tenant:*'] };
const forB: Principal = { kind: 'api-key', id: 'k', tenantId: 'a', childId: 'b', permissions: ['tenant:read'] };
const ofA: Principal = { kind: 'api-key', id: 'k', tenantId: 'a', permissions: ['*'] };
const nobody: Principal = { kind: 'anonymous', id: 'anonymous', permissions: [] };

describe('permissions', () => {
  it.each([
    [['*'], 'tenant:read', true],
    [['tenant:read'], 'tenant:read', true],
    [['tenant:*'], 'tenant:read', true],
    [['tenant:*'], 'tenancy:read', false],
    [['tenant:read'], 'tenant:update', false],
    [['ten*'], 'tenant:read', false],
    [['*:read'], 'tenant:read', false],
    [[], 'tenant:read', false],
  ] as const)('%j include %s: %s', (held, wanted, expected) => {
    expect(permits(held, wanted)).toBe(expected);
  });
});

describe('who may do what', () => {
  it.each([
    ['anybody, what is public', nobody, { scope: 'public', permission: 'x:y' }, null],
    ['nobody without credentials, anything else', nobody, { scope: 'tenant', permission: null }, 'auth.unauthenticated'],
    ['staff, on the platform', staff, { scope: 'platform', permission: 'tenant:read', tenantId: 'a' }, null],
    ['staff, for any tenant', staff, { scope: 'tenant', permission: 'tenant:read', tenantId: 'b' }, null],
    ['staff, only what they are permitted', staff, { scope: 'platform', permission: 'quota:read' }, 'auth.forbidden'],
    ['a tenant, for itself', ofA, { scope: 'tenant', permission: 'tenant:read', tenantId: 'a' }, null],
    [
      'a tenant, nothing of another: it is not there',
      ofA,
      { scope: 'tenant', permission: 'tenant:read', tenantId: 'b' },
      'tenant.not_found',
    ],
    ['a tenant, nothing without a tenant', ofA, { scope: 'tenant', permission: 'tenant:read' }, 'tenant.not_found'],
    [
      'a tenant, nothing of the platform, not even about itself',
      ofA,
      { scope: 'platform', permission: 'tenant:read', tenantId: 'a' },
      'auth.forbidden',
    ],
    ['a reseller, for its child', forB, { scope: 'tenant', permission: 'tenant:read', tenantId: 'b' }, null],
    ['a reseller, for its child what it may not do to itself', forB, { scope: 'reseller', permission: 'tenant:read', tenantId: 'b' }, null],
    [
      'a reseller, not to itself what is for children',
      forB,
      { scope: 'reseller', permission: 'tenant:read', tenantId: 'a' },
      'auth.forbidden',
    ],
    ['a reseller, nothing of another tenant', forB, { scope: 'tenant', permission: 'tenant:read', tenantId: 'c' }, 'tenant.not_found'],
    [
      'a reseller, nothing of another tenant as its child',
      forB,
      { scope: 'reseller', permission: 'tenant:read', tenantId: 'c' },
      'tenant.not_found',
    ],
    ['a reseller, its children together', ofA, { scope: 'reseller', permission: 'tenant:read' }, null],
    ['a reseller, only what it is permitted', forB, { scope: 'tenant', permission: 'quota:read', tenantId: 'b' }, 'auth.forbidden'],
    [
      'a reseller, nothing of the platform about its child',
      forB,
      { scope: 'platform', permission: 'tenant:read', tenantId: 'b' },
      'auth.forbidden',
    ],
  ] as const)('%s', (_what, principal, demand, code) => {
    expect(denial(principal, demand)?.code ?? null).toBe(code);
  });
});
