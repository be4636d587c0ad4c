import { DomainError } from '@tenantry/contracts/errors';
import type { Face, Principal, Route, Scope } from '@tenantry/contracts/route';

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
  const unreached = principal.tenantId === undefined ? null : beyondTenant(principal, scope, tenantId);
  if (unreached) return unreached;
  if (permission !== null && !permits(principal.permissions, permission))
    return new DomainError('auth.forbidden', { detail: `The permission ${permission} is needed`, extensions: { permission } });
  return null;
}

/** From a route to the widest scope that it or one of its faces has. */
export function widestScope(faces: readonly Face[]): (route: Route) => Scope {
  const narrowToWide: Scope[] = ['platform', 'reseller', 'tenant', 'public'];
  const wider = (a: Scope, b: Scope) => (narrowToWide.indexOf(a) > narrowToWide.indexOf(b) ? a : b);
  const ofFaces = new Map<string, Scope>();
  for (const { of, scope } of faces) ofFaces.set(of.name, wider(scope, ofFaces.get(of.name) ?? of.scope));
  return ({ name, scope }) => ofFaces.get(name) ?? scope;
}

/** What a tenant's credentials don't reach: the platform's resources, and those of tenants that are neither it nor a child of it. */
function beyondTenant({ tenantId: own, childId }: Principal, scope: Scope, asked: string | undefined): DomainError | null {
  if (scope === 'platform' || (scope === 'reseller' && asked === own))
    return new DomainError('auth.forbidden', { detail: "A tenant's credentials do not reach the platform's resources" });
  // A reseller's children together: whether the tenant is a reseller, the handler knows.
  if (asked === undefined && scope === 'reseller') return null;
  return asked !== undefined && (asked === own || asked === childId) ? null : new DomainError('tenant.not_found');
}
