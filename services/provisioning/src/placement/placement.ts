import { DomainError, invalidField } from '@tenantry/contracts/errors';
import type { EventOf } from '@tenantry/contracts/events';
import { placementEvents } from '@tenantry/contracts/placement/events';
import { aggregate } from '@tenantry/event-store/aggregate';
import { lastGenerationOf } from '@tenantry/tenancy/move/generations';

type PlacementEvent = EventOf<typeof placementEvents>;
export type Place = Extract<PlacementEvent, { type: 'TenantPlaced' }>['data'];
export type Moving = Extract<PlacementEvent, { type: 'TenantMoveStarted' }>['data'];
type MoveEnded = Extract<PlacementEvent, { type: 'TenantMoveEnded' }>['data'];
/** `generation` is that of the last place, so that a new one gets the next. `moving`: the move that is going on. */
export type PlacementState = { placed: false; generation: number } | ({ placed: true; moving: Moving | null } & Place);

export const placement = aggregate<PlacementState, typeof placementEvents>({
  stream: 'placement',
  events: placementEvents,
  initial: { placed: false, generation: 0 },
  evolve: (state, event): PlacementState => {
    switch (event.type) {
      case 'TenantPlaced':
        return { placed: true, moving: state.placed ? state.moving : null, ...event.data };
      case 'TenantUnplaced':
        return { placed: false, generation: event.data.generation };
      case 'TenantMoveStarted':
        return state.placed ? { ...state, moving: event.data } : state;
      case 'TenantMoveEnded':
        return state.placed ? { ...state, moving: null } : state;
      default:
        event satisfies never;
        return state;
    }
  },
});

/** Every database that the tenant was ever to live in, with the levels that it had there. */
export const everIn = aggregate<readonly Where[], typeof placementEvents>({
  stream: 'placement',
  events: placementEvents,
  initial: [],
  evolve: (state, event): readonly Where[] => {
    switch (event.type) {
      case 'TenantPlaced':
        return withPlace(state, event.data);
      case 'TenantMoveStarted':
        return withPlace(state, event.data.to);
      case 'TenantUnplaced':
      case 'TenantMoveEnded':
        return state;
      default:
        event satisfies never;
        return state;
    }
  },
});

type Where = Pick<Place, 'isolation' | 'server' | 'database'>;
const withPlace = (known: readonly Where[], { isolation, server, database }: Place): readonly Where[] =>
  known.some((one) => one.isolation === isolation && one.server === server && one.database === database)
    ? known
    : [...known, { isolation, server, database }];

/** Each once, however many levels the tenant had there. */
export const databasesOf = (lived: readonly Where[]): Omit<Where, 'isolation'>[] =>
  lived
    .filter((place, index) => lived.findIndex(({ server, database }) => server === place.server && database === place.database) === index)
    .map(({ server, database }) => ({ server, database }));

export const place =
  (chosen: Omit<Place, 'generation'>) =>
  (state: PlacementState): PlacementEvent[] =>
    state.placed ? [] : [{ type: 'TenantPlaced', data: { ...chosen, generation: state.generation + 1 } }];

/** Of a move that has stopped half way a place may be ahead of the log. */
const lastGeneration = (state: PlacementState): number =>
  state.placed && state.moving !== null ? Math.max(state.generation, lastGenerationOf(state.moving)) : state.generation;

export const unplace = (state: PlacementState): PlacementEvent[] =>
  state.placed ? [{ type: 'TenantUnplaced', data: { generation: lastGeneration(state) } }] : [];

/** @param chosen where to, by what the caller asked for */
export const startMove =
  (operationId: string, chosen: Omit<Place, 'generation' | 'workerGroup'>, keepSourceMinutes: number) =>
  (state: PlacementState): PlacementEvent[] => {
    if (!state.placed) throw new DomainError('placement.not_found');
    const { placed: _, moving, ...from } = state;
    if (moving?.operationId === operationId) return [];
    if (moving)
      throw new DomainError('placement.move_running', {
        detail: `The move ${moving.operationId} has not ended; wait for it, or cancel it or roll it back.`,
      });
    if (chosen.isolation === from.isolation && chosen.server === from.server && chosen.database === from.database)
      throw invalidField('isolation', 'elsewhere', 'the tenant lives there already; name another level, server or database');
    const to = { ...chosen, generation: from.generation + 1, workerGroup: from.workerGroup };
    return [{ type: 'TenantMoveStarted', data: { operationId, from, to, keepSourceMinutes } }];
  };

/** The tenant lives there from now on: a place with an older generation never takes the place of a newer. */
export const arrive =
  (at: Place) =>
  (state: PlacementState): PlacementEvent[] =>
    state.generation >= at.generation ? [] : [{ type: 'TenantPlaced', data: at }];

export const endMove =
  (operationId: string, status: MoveEnded['status']) =>
  (state: PlacementState): PlacementEvent[] =>
    state.placed && state.moving?.operationId === operationId ? [{ type: 'TenantMoveEnded', data: { operationId, status } }] : [];

/** A move that was undone and is tried again: as it was asked for, from where the tenant lives now. */
export const restartMove =
  (operationId: string, asked: Moving) =>
  (state: PlacementState): PlacementEvent[] => {
    const { generation: _, workerGroup: __, ...chosen } = asked.to;
    return startMove(operationId, chosen, asked.keepSourceMinutes)(state);
  };
