import { DomainError } from '@tenantry/contracts/errors';
import { describe, expect, it } from 'vitest';
import { grantable } from './permission.js';

describe('granting permissions', () => {
  it.each([
    [['*'], ['*', 'tenant:read', 'tenant:*']],
    [['tenant:*'], ['tenant:read', 'tenant:*']],
    [['tenant:read'], ['tenant:read']],
  ])('who has %j may grant %j', (held, wanted) => {
    expect(grantable(held, wanted)).toEqual(wanted);
  });

  it.each([
    [['tenant:*'], ['tenant:read', '*'], 'permissions.1'],
    [['tenant:read'], ['tenant:*'], 'permissions.0'],
    [['tenant:*'], ['tenants:read'], 'permissions.0'],
    [[], ['tenant:read'], 'permissions.0'],
  ])('who has %j may not grant %j: %s', (held, wanted, field) => {
    let refusal: unknown;
    try {
      grantable(held, wanted);
    } catch (error) {
      refusal = error;
    }
    expect(refusal).toBeInstanceOf(DomainError);
    expect(refusal).toMatchObject({ code: 'auth.forbidden', errors: [{ field, rule: 'not_held' }] });
  });
});
