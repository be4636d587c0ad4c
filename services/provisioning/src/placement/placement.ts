import type { EventOf } from '@tenantry/contracts/events';
import { placementEvents } from '@tenantry/contracts/placement/events';
import { aggregate } from '@tenantry/event-store/aggregate';

type PlacementEvent = EventOf<typeof placementEvents>;
export type Place = Extract<PlacementEvent, { type: 'TenantPlaced' }>['data'];
/** `generation` is that of the last place, so that a new one gets the next. */
export type PlacementState = { placed: false; generation: number } | ({ placed: true } & Place);

export const placement = aggregate<PlacementState, typeof placementEvents>({
  stream: 'placement',
  events: placementEvents,
  initial: { placed: false, generation: 0 },
  evolve: (_state, event): PlacementState => {
    switch (event.type) {
      case 'TenantPlaced':
        return { placed: true, ...event.data };
      case 'TenantUnplaced':
        return { placed: false, generation: event.data.generation };
      default:
        event satisfies never;
        return _state;
    }
  },
});

export const place =
  (chosen: Omit<Place, 'generation'>) =>
  (state: PlacementState): PlacementEvent[] =>
    state.placed ? [] : [{ type: 'TenantPlaced', data: { ...chosen, generation: state.generation + 1 } }];

export const unplace = (state: PlacementState): PlacementEvent[] =>
  state.placed ? [{ type: 'TenantUnplaced', data: { generation: state.generation } }] : [];
