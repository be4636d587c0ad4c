import { memberRoles } from '@tenantry/contracts/identity/events';

type Role = (typeof memberRoles)[number];

/**
 * What each role may do by default, as `<resource>:<verb>`, `<resource>:*` or `*`.
 * An owner may do everything; an admin everything but delete the tenant, change owners or payment; a member works with the
 * product; a viewer reads reports only. The table is copied into the tenant's first security event, so that a later change
 * of it does not change tenants that exist.
 */
export const permissionMatrix: Readonly<Record<Role, readonly string[]>> = {
  owner: ['*'],
  admin: [
    'tenant:read',
    'tenant:update',
    'member:*',
    'api-key:*',
    'settings:*',
    'domain:*',
    'quota:read',
    'usage:*',
    'billing:read',
    'audit:read',
    'event:read',
    'event-subscription:*',
    'personal:read',
  ],
  member: ['tenant:read', 'settings:read', 'domain:read', 'quota:read', 'usage:*', 'member:read'],
  viewer: ['tenant:read', 'quota:read', 'audit:read'],
};

export const defaultRoles = () => memberRoles.map((role) => ({ role, permissions: [...permissionMatrix[role]] }));
