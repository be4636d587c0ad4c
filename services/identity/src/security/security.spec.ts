import { memberRoles } from '@tenantry/contracts/identity/events';
import { describe, expect, it } from 'vitest';
import { permissionMatrix } from './roles.js';
import { initialize, type Security, security } from './security.js';

const given = (state: Security) => initialize({ securityLevel: 'standard', keyVersion: 1 })(state);

describe('securing a tenant', () => {
  it('records the keys and what every role may do', () => {
    const [event] = given(security.initial);
    expect(event).toMatchObject({ type: 'SecurityInitialized', data: { securityLevel: 'standard', keyVersion: 1 } });
    expect(event?.type === 'SecurityInitialized' && event.data.roles.map(({ role }) => role)).toEqual([...memberRoles]);
  });

  it('is not repeated', () => {
    expect(given({ ...security.initial, status: 'initialized', keyVersion: 1 })).toEqual([]);
  });
});

it('an admin may neither create nor delete tenants, nor change billing', () => {
  for (const permission of ['*', 'tenant:*', 'tenant:create', 'tenant:delete', 'billing:*', 'billing:update'])
    expect(permissionMatrix.admin).not.toContain(permission);
});

it('a viewer only reads', () => {
  expect(permissionMatrix.viewer.filter((permission) => !permission.endsWith(':read'))).toEqual([]);
});
