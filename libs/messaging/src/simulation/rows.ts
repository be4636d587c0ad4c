import type { EventStore } from '@tenantry/event-store/port';
import type { Applied, Checkpoint } from '../checkpoints.js';
import type { Consumer, OutboxRow } from '../consumer.js';
import {
  type AttemptStore,
  CheckpointLocked,
  ConsumerRows,
  type HintStore,
  NoneMoved,
  type ParkedStore,
  RowsTransaction,
  RunnerStorage,
  type Step,
} from '../consumer-rows.js';
import type { RowChange } from '../projection.js';
import { SimulatedAttempts, SimulatedHints, SimulatedParked } from './stores.js';
import { keyOf, type Tables } from './tables.js';
import { Outage, type Process } from './world.js';

/** What a simulation may break on purpose, to see that it notices. */
export interface Sabotage {
  /** A checkpoint is moved wherever it was. */
  checkpointsUnchecked?: boolean;
  /** Rows are written before the transaction commits. */
  rowsOutsideTransaction?: boolean;
  /** Each claim of an effect makes up a new key for the provider. */
  freshEffectKeys?: boolean;
}

/** A connection's loss while it is in a transaction, and the end that the server makes of one that stands still, in ms. */
const idleInTransactionMs = 5_000;

export class SimulatedStorage extends RunnerStorage {
  override readonly hints: HintStore;
  override readonly parked: ParkedStore;
  override readonly attempts: AttemptStore;

  constructor(
    private readonly process: Process,
    private readonly tables: Tables,
    store: EventStore,
    private readonly sabotage: Sabotage = {},
  ) {
    super();
    this.hints = new SimulatedHints(process, tables, store);
    this.parked = new SimulatedParked(process, tables);
    this.attempts = new SimulatedAttempts(process, tables);
  }

  override rows(consumer: Consumer): ConsumerRows {
    return new SimulatedRows(this.process, this.tables, consumer, this.sabotage);
  }
}

class SimulatedRows extends ConsumerRows {
  constructor(
    private readonly process: Process,
    private readonly tables: Tables,
    private readonly consumer: Consumer,
    private readonly sabotage: Sabotage,
  ) {
    super();
  }

  override checkpoints(tenantIds: string[]): Promise<Map<string, Checkpoint>> {
    return this.process.ask(
      () =>
        new Map(
          tenantIds.flatMap((tenantId) => {
            const found = this.tables.checkpoints.get(keyOf(this.consumer.name, tenantId));
            return found ? [[tenantId, found] as const] : [];
          }),
        ),
    );
  }

  override async transaction<T>(_tenantId: string | null, work: (tx: RowsTransaction) => Promise<T>): Promise<T> {
    const tx = new SimulatedTransaction(this.process, this.tables, this.consumer, this.sabotage);
    try {
      const result = await work(tx);
      await tx.commit();
      return result;
    } catch (error) {
      tx.end();
      throw error;
    }
  }
}

class SimulatedTransaction extends RowsTransaction {
  override readonly generation = 0;
  private readonly held: string[] = [];
  private readonly staged: (() => void)[] = [];
  private open = true;
  private idle: { cancel(): void } | undefined;

  constructor(
    private readonly process: Process,
    private readonly tables: Tables,
    private readonly consumer: Consumer,
    private readonly sabotage: Sabotage,
  ) {
    super();
    const { world } = process;
    // The server hears of a closed connection a moment later: what was sent before is still done.
    process.onKill(() => world.after(world.random() * 5, () => this.end()));
  }

  /** Rolled back, unless it was committed. */
  end(): void {
    this.open = false;
    this.idle?.cancel();
    for (const key of this.held) if (this.tables.locks.get(key) === this) this.tables.locks.delete(key);
  }

  commit(): Promise<void> {
    return this.statement(() => {
      for (const change of this.staged) change();
      this.end();
    });
  }

  override lock(tenantId: string): Promise<Checkpoint | null> {
    return this.statement(() => {
      const key = keyOf(this.consumer.name, tenantId);
      if (!this.take(key)) throw new CheckpointLocked();
      return this.tables.checkpoints.get(key) ?? null;
    });
  }

  override advance(steps: Step[]): Promise<Set<string>> {
    return this.statement(() => {
      const moved = new Set<string>();
      for (const { tenantId, from, to, changes, effects } of steps) {
        const key = keyOf(this.consumer.name, tenantId);
        if (!this.take(key)) continue;
        const now = this.tables.checkpoints.get(key);
        const believed = from === null ? now === undefined : now?.version === this.consumer.version && same(now, from);
        if (!believed && !this.sabotage.checkpointsUnchecked) continue;
        moved.add(tenantId);
        this.staged.push(() => this.tables.checkpoints.set(key, { ...to, version: this.consumer.version }));
        this.stageRows(changes, effects);
      }
      if (moved.size === 0) throw new NoneMoved();
      return moved;
    });
  }

  override empty(tenantId: string): Promise<void> {
    return this.statement(() => {
      this.staged.push(() => {
        for (const table of this.consumer.tables) {
          const rows = this.tables.of(table);
          for (const [key, row] of rows) if (row['tenantId'] === tenantId) rows.delete(key);
        }
      });
    });
  }

  override write(changes: RowChange[], effects: OutboxRow[]): Promise<void> {
    return this.statement(() => this.stageRows(changes, effects));
  }

  override reset(tenantId: string, to: Applied | null): Promise<void> {
    return this.statement(() => {
      const key = keyOf(this.consumer.name, tenantId);
      this.staged.push(() => {
        if (to === null) this.tables.checkpoints.delete(key);
        else this.tables.checkpoints.set(key, { ...to, version: this.consumer.version });
      });
    });
  }

  private stageRows(changes: RowChange[], effects: OutboxRow[]): void {
    const write = () => this.tables.write(changes);
    if (this.sabotage.rowsOutsideTransaction) write();
    else this.staged.push(write);
    this.staged.push(() => this.tables.ask(effects, this.process.world.nowMs));
  }

  private take(key: string): boolean {
    const holder = this.tables.locks.get(key);
    if (holder !== undefined && holder !== this) return false;
    this.tables.locks.set(key, this);
    this.held.push(key);
    return true;
  }

  private statement<T>(work: () => T): Promise<T> {
    return this.process.ask(() => {
      if (!this.open) throw new Outage('the transaction was ended');
      this.idle?.cancel();
      const result = work();
      if (this.open) this.idle = this.process.world.after(idleInTransactionMs, () => this.end());
      return result;
    });
  }
}

const same = (a: Applied, b: Applied) => a.position === b.position && a.eventId === b.eventId;
