import type { EventOf, Personal } from '@tenantry/contracts/events';
import type { ParkedView } from '@tenantry/contracts/platform/consumers';
import { platformEvents } from '@tenantry/contracts/platform/events';
import { aggregate } from '@tenantry/event-store/aggregate';

/** What was left out, on the stream `parked-<id>` of the platform's log. */
export interface Skipped {
  item: ParkedView | null;
  reason: Personal | null;
}

export const skipped = aggregate<Skipped, typeof platformEvents>({
  stream: 'parked',
  events: platformEvents,
  initial: { item: null, reason: null },
  evolve: (state, event): Skipped => {
    if (event.type !== 'ParkedSkipped') return state;
    const { parkedId: id, reason, ...item } = event.data;
    return { item: { id, error: '', attempts: 0, parkedAt: null, nextRetryAt: null, ...item } as ParkedView, reason };
  },
});

export const recordSkipped =
  ({ id: parkedId, kind, service, consumer, tenantId, position, type }: ParkedView, reason: Personal) =>
  (state: Skipped): EventOf<typeof platformEvents>[] =>
    state.item ? [] : [{ type: 'ParkedSkipped', data: { parkedId, kind, service, consumer, tenantId, position, type, reason } }];
