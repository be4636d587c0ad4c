import { effect, processManager } from '@tenantry/messaging/projection';

const follow = () => effect('follow-parent', {});

/** Children follow their reseller. Credentials don't wait for it: `TenantGate` looks at the reseller's own log. */
export const family = processManager({
  name: 'family',
  on: {
    TenantSuspended: follow,
    TenantArchived: follow,
    TenantDeletionScheduled: follow,
    TenantReactivated: follow,
    TenantRestored: follow,
    TenantDeletionCancelled: follow,
  },
});
