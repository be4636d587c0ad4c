import { DomainError } from '@tenantry/contracts/errors';
import type { Principal, Scope } from '@tenantry/contracts/route';

/** What a request needs, apart from who asks. */
export interface Demand {
  scope: Scope;
  /** Null where credentials alone are enough. */
  permission: string | null;
  /** The tenant whose resource is asked for, where there is one. */
  tenantId?: string;
}

/** Whether permissions that are held include the one that is wanted: `*` includes all, `tenant:*` every verb of tenants. */
export const permits = (held: readonly string[], wanted: string): boolean =>
  held.some((one) => one === '*' || one === wanted || (one.endsWith(':*') && wanted.startsWith(one.slice(0, -1))));

/**
 * The one rule of who may do what, for the gateway and again for every service. Pure.
 * Another tenant's resource is not there (404), so that nobody learns which tenants exist.
 * @returns why it is refused (`auth.unauthenticated`, `auth.forbidden`, `tenant.not_found`), null where it is allowed
 */
export function denial(principal: Principal, { scope, permission, tenantId }: Demand): DomainError | null {
  if (scope === 'public') return null;
  if (principal.kind === 'anonymous') return new DomainError('auth.unauthenticated');
  if (principal.tenantId !== undefined) {
    if (scope === 'platform')
      return new DomainError('auth.forbidden', { detail: "A tenant's credentials do not reach the platform's resources" });
    if (tenantId !== principal.tenantId) return new DomainError('tenant.not_found');
  }
  if (permission !== null && !permits(principal.permissions, permission))
    return new DomainError('auth.forbidden', { detail: `The permission ${permission} is needed`, extensions: { permission } });
  return null;
}
