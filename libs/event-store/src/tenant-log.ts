import type { Actor, EventOf, EventSet, StoredEvent } from '@tenantry/contracts/events';
import type { CommandContext } from '@tenantry/contracts/route';
import type { Aggregate, Decision } from './aggregate.js';
import type { Head, LogSlice } from './port.js';

/** A command that no person's request stands behind: a saga step, a timer, an effect's outcome. */
export interface SystemCommand {
  /** Made with `derivedId`, so that a repeat is recognized. */
  id: string;
  actor: Actor;
  causationId?: string;
  correlationId?: string;
  traceparent?: string;
}

export interface Target {
  tenant: string;
  /** The stream's name; by default the aggregate's. */
  stream?: string;
  command: CommandContext | SystemCommand;
}

/** What the caller believes a stream to be, from its last command on it, or because it must be new. */
export interface Assumed<State> {
  state: State;
  version: number;
}
/** The belief that a stream does not exist yet. */
export const newStream = <State>(of: { initial: State }): Assumed<State> => ({ state: of.initial, version: -1 });

export interface Transacted<State, Set extends EventSet> {
  /** After the command's events; for a repeat, as it was right after the first time. */
  state: State;
  /** The command's events as stored (personal fields encrypted); empty when nothing had to change. */
  events: StoredEvent<EventOf<Set>['type']>[];
  /** Version of the stream after the command, -1 for none. */
  version: number;
  /** Position of the command's last event, or of the stream's last event when it appended nothing; -1 for none. */
  position: number;
  repeated: boolean;
}

/** What services use of the log. */
export abstract class TenantLog {
  /**
   * Load, decide, append; on conflict again. Encrypts personal fields with the key of the event's subject.
   * A repeated command id gets the first result without deciding again.
   * With `ifMatch` in the command, a stream at another version is refused before deciding.
   * With `assumed`, the first try reads nothing: where the belief was wrong (another version, or nothing to append) the stream is read after all.
   * @throws DomainError of the decision; `precondition.failed`; `idempotency.mismatch`; `log.conflict` after 20 tries
   */
  abstract transact<State, Set extends EventSet>(
    of: Aggregate<State, Set>,
    target: Target,
    decide: Decision<State, Set>,
    assumed?: Assumed<State>,
  ): Promise<Transacted<State, Set>>;
  /** State and version of one stream at its current end. */
  abstract load<State, Set extends EventSet>(
    of: Aggregate<State, Set>,
    at: { tenant: string; stream?: string },
  ): Promise<{ state: State; version: number; position: number; events: StoredEvent[] }>;
  abstract readLog(tenantId: string, from: number, options?: { types?: readonly string[]; limit?: number }): Promise<LogSlice>;
  abstract heads(options?: { tenantIds?: readonly string[]; after?: string; limit?: number }): Promise<Head[]>;
}
