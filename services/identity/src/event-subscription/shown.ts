import type { EventSubscription } from '@tenantry/contracts/identity/event-subscriptions';
import type { z } from 'zod';
import { EVENT_STREAM } from './account.js';
import type { Existing } from './event-subscription.js';
import { consumersOf } from './grant.js';

/** A subscription as its answers show it. */
export const shown = (of: Existing, natsUrl: string, inboxPrefix: string | null): z.infer<typeof EventSubscription> => ({
  id: of.subscriptionId,
  name: of.name,
  status: of.status,
  tenants: of.tenants,
  contexts: of.contexts,
  types: of.types,
  from: of.start.from,
  natsUrl,
  stream: EVENT_STREAM,
  consumers: consumersOf(of.subscriptionId, of).map(({ name, filterSubject }) => ({ name, filterSubject })),
  inboxPrefix,
  createdAt: of.createdAt,
});
