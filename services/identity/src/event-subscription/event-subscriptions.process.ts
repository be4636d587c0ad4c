import { effect, processManager } from '@tenantry/messaging/projection';
import type { ApplyEventSubscription } from './apply-event-subscription.effect.js';

const apply = ({ data: { subscriptionId } }: { data: { subscriptionId: string } }) =>
  effect('apply-event-subscription', { subscriptionId } satisfies ApplyEventSubscription);

const follow = () => effect('follow-tenant', {});

/** What was recorded reaches the broker even where the process that recorded it died before it told the broker. */
export const eventSubscriptionChanges = processManager({
  name: 'event-subscriptions',
  on: {
    EventSubscriptionCreated: apply,
    EventSubscriptionRotated: apply,
    EventSubscriptionPaused: apply,
    EventSubscriptionResumed: apply,
    EventSubscriptionReplayed: apply,
    EventSubscriptionRevoked: apply,
  },
});

/** The events of `accessEvents`, but for the last one: then nothing is left to pause. */
export const tenantAccess = processManager({
  name: 'tenant-access',
  on: {
    TenantSuspended: follow,
    TenantReactivated: follow,
    TenantArchived: follow,
    TenantRestored: follow,
    TenantDeletionScheduled: follow,
    TenantDeletionCancelled: follow,
  },
});
