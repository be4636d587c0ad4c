import { DomainError } from '@tenantry/contracts/errors';
import type { EventOf } from '@tenantry/contracts/events';
import type { tenantEvents } from '@tenantry/contracts/tenant/events';
import { registered, type Tenant } from '../tenant/tenant.js';

type TenantEvent = EventOf<typeof tenantEvents>;

/** The end of a tenant. Its log goes on to say when it was. */
export const markErased =
  (operationId: string, erasedAt: string) =>
  (state: Tenant): TenantEvent[] => {
    const { status, deletion } = registered(state);
    if (status === 'deleted') return [];
    if (!deletion?.erasing || deletion.operationId !== operationId)
      throw new DomainError('tenant.transition_not_allowed', { detail: 'Only a tenant whose erasure has begun can be erased.' });
    return [{ type: 'TenantErased', data: { operationId, erasedAt } }];
  };
