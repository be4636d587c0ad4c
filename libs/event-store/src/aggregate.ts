import type { EventOf, EventSet, Stored } from '@tenantry/contracts/events';

/** One consistency boundary: a stream's state and how events change it. Pure. */
export interface Aggregate<State, Set extends EventSet = EventSet> {
  /** Name of the stream, or the prefix of its name where there are many: `domain` for `domain-<id>`. */
  stream: string;
  events: Set;
  initial: State;
  /** Never rejects: history has happened. Gets events as stored: personal fields are `{enc}`. */
  evolve: (state: State, event: Stored<EventOf<Set>>) => State;
}

export const aggregate = <State, Set extends EventSet>(definition: Aggregate<State, Set>): Aggregate<State, Set> => definition;

/** From a state to the events that follow; throws a DomainError to refuse. Called again after a conflict, so it has no effects. */
export type Decision<State, Set extends EventSet> = (state: State) => EventOf<Set>[];

/** The state after the events. */
export const fold = <State, Set extends EventSet>(
  of: Aggregate<State, Set>,
  events: Iterable<Stored<EventOf<Set>>>,
  from: State = of.initial,
): State => {
  let state = from;
  for (const event of events) state = of.evolve(state, event);
  return state;
};
