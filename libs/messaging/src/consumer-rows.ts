import type { StoredEvent } from '@tenantry/contracts/events';
import type { Applied, Checkpoint } from './checkpoints.js';
import type { Consumer, OutboxRow } from './consumer.js';
import type { RowChange } from './projection.js';
import type { Behind } from './sweep.js';

/** Another replica has the checkpoint right now. */
export class CheckpointLocked extends Error {}
/** None of the checkpoints was where its mover believed it to be. */
export class NoneMoved extends Error {}

/** What one tenant's new events come to, and between which events. */
export interface Step {
  tenantId: string;
  /** What the checkpoint is believed to be; null: there is none yet. */
  from: Applied | null;
  to: Applied;
  changes: RowChange[];
  effects: OutboxRow[];
}

/** What a consumer keeps in one placement: checkpoints, rows, the effects it asks for. They change together or not at all. */
export abstract class ConsumerRows {
  /** Of other versions of the consumer too. Nothing is locked. */
  abstract checkpoints(tenantIds: string[]): Promise<Map<string, Checkpoint>>;
  /**
   * Commits when `work` resolves, rolls back when it rejects.
   * @param tenantId whose place it is; null in the service's own schema
   * @throws DomainError `placement.not_found`, `placement.closed`
   */
  abstract transaction<T>(tenantId: string | null, work: (tx: RowsTransaction) => Promise<T>): Promise<T>;
}

export abstract class RowsTransaction {
  /** Of the tenant's placement; 0 in the service's own schema. */
  abstract readonly generation: number;
  /** Locks the checkpoint until the end. @throws CheckpointLocked */
  abstract lock(tenantId: string): Promise<Checkpoint | null>;
  /**
   * Moves checkpoints, and writes what goes with them. Gives the tenants whose checkpoint was where the mover believed; the others are
   * locked by another replica, moved on, or of another version, and nothing of theirs is written.
   * @throws NoneMoved where that leaves none: for all to be rolled back
   */
  abstract advance(steps: Step[]): Promise<Set<string>>;
  /** Removes the tenant's rows from the consumer's tables. */
  abstract empty(tenantId: string): Promise<void>;
  abstract write(changes: RowChange[], effects: OutboxRow[]): Promise<void>;
  /** After `empty` and `write`: where the rows are now, null for no event at all. The checkpoint is locked. */
  abstract reset(tenantId: string, to: Applied | null): Promise<void>;
}

/** Everything that a service's runner keeps. */
export abstract class RunnerStorage {
  abstract rows(consumer: Consumer): ConsumerRows;
  abstract readonly hints: HintStore;
  abstract readonly parked: ParkedStore;
  abstract readonly attempts: AttemptStore;
}

export interface Hint {
  version: string;
  /** Of the placement that it was seen at; 0 in the service's own schema. */
  generation: number;
  /** Everything up to here was looked at. */
  position: number;
}

/** How far each consumer has looked, outside its transactions. May be behind the truth, and may be lost. */
export abstract class HintStore {
  abstract read(consumer: string, tenantIds: string[]): Promise<Map<string, Hint>>;
  abstract write(hints: (Hint & { consumer: string; tenantId: string })[]): Promise<void>;
  /** Pages of logs whose head is not where the hint is, beyond it included. @param withinMs only logs that grew in that time; all of them where it is undefined */
  abstract behind(consumer: string, version: string, withinMs?: number): AsyncIterable<Behind[]>;
}

export interface Parked {
  consumer: string;
  tenantId: string;
  position: number;
  eventId: string;
  error: string;
  type: string;
  attempts: number;
  /** From now; null: only an operator has it tried again. */
  retryInMs: number | null;
}
/** An event that an operator has told a consumer to leave out. */
export interface Skipped {
  consumer: string;
  tenantId: string;
  eventId: string;
}
/** Tenants whose consumer waits at an event that it can't take. At most one per consumer and tenant. */
export abstract class ParkedStore {
  abstract skipped(): Promise<Skipped[]>;
  abstract all(): Promise<Pick<Parked, 'consumer' | 'tenantId' | 'position' | 'attempts' | 'retryInMs'>[]>;
  abstract put(parked: Parked): Promise<void>;
  abstract remove(consumer: string, tenantId: string): Promise<void>;
}

/** What a process was about to apply of one log: from `event` up to `untilPosition`. Where it is one event, `crashes` counts how often that was so when the process died. */
export interface Attempt {
  consumer: string;
  event: Pick<StoredEvent, 'tenantId' | 'position' | 'id' | 'type'>;
  untilPosition: number;
  crashes: number;
}
/** What is known of processes that die. `owner` is a process, by a name that it has again after a restart. */
export abstract class AttemptStore {
  /** The process runs from now on. `died`: it did when it ended, and was about to apply `attempts`. */
  abstract begin(owner: string): Promise<{ died: boolean; attempts: Attempt[] }>;
  abstract note(owner: string, attempts: Attempt[]): Promise<void>;
  abstract clear(owner: string, consumer: string, tenantIds: string[]): Promise<void>;
  /** It ends in good order. */
  abstract end(owner: string): Promise<void>;
}
