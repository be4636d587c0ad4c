import { effect, processManager } from '@tenantry/messaging/projection';

export interface FollowParentPayload {
  /** The tenant itself is one that may be used from now on, or came back, and its reseller may stand elsewhere than when it went. */
  cameBack?: boolean;
}
const follow = () => effect('follow-parent', {} satisfies FollowParentPayload);
const cameBack = () => effect('follow-parent', { cameBack: true } satisfies FollowParentPayload);

/** Children follow their reseller. Credentials don't wait for it: `TenantGate` looks at the reseller's own log. */
export const family = processManager({
  name: 'family',
  on: {
    TenantSuspended: follow,
    TenantArchived: follow,
    TenantDeletionScheduled: follow,
    TenantActivated: ({ data }) => (data.parentId === undefined ? null : cameBack()),
    TenantReactivated: ({ data }) => (data.parentId === undefined ? cameBack() : follow()),
    TenantRestored: cameBack,
    TenantDeletionCancelled: cameBack,
  },
});
