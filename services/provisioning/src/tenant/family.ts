import type { EventOf } from '@tenantry/contracts/events';
import type { tenantEvents } from '@tenantry/contracts/tenant/events';
import type { Tenant } from './tenant.js';
import { reactivate, suspend } from './transitions.js';

type TenantEvent = EventOf<typeof tenantEvents>;
export interface Parent {
  id: string;
  state: Tenant;
}

/** Whether children may be used as far as their reseller is concerned. */
export const letsChildren = ({ status }: Tenant): boolean => status === 'active' || status === 'trial';

/**
 * What a reseller's standing means for one of its children: who may be used is suspended with it, and what was suspended with it comes back
 * with it. A child that is anything else, or was suspended for itself, stays as it is.
 */
export const followParent =
  ({ id: parentId, state: parent }: Parent, now: string) =>
  (child: Tenant): TenantEvent[] => {
    if (child.status === 'none' || child.parentId !== parentId) return [];
    const closes = parent.status === 'suspended' || parent.status === 'archived' || parent.status === 'deleting';
    if (closes && letsChildren(child)) return suspend({ cause: causeOf(parent), parentId }, now)(child);
    if (letsChildren(parent) && child.status === 'suspended' && child.suspendedWith === parentId)
      return reactivate(
        { cause: child.statusCause === 'payment' || child.statusCause === 'policy' ? child.statusCause : 'manual', parentId },
        now,
      )(child);
    return [];
  };

const causeOf = (parent: Tenant) =>
  parent.status !== 'none' && (parent.statusCause === 'payment' || parent.statusCause === 'policy')
    ? parent.statusCause
    : ('manual' as const);
