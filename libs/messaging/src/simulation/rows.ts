import type { EventStore } from '@tenantry/event-store/port';
import type { PgTable } from 'drizzle-orm/pg-core';
import type { Applied, Checkpoint } from '../checkpoints.js';
import type { Consumer, OutboxRow } from '../consumer.js';
import {
  type Attempt,
  AttemptStore,
  CheckpointLocked,
  ConsumerRows,
  type Hint,
  HintStore,
  NoneMoved,
  type Parked,
  ParkedStore,
  RowsTransaction,
  RunnerStorage,
  type Step,
} from '../consumer-rows.js';
import { type Claimed, EffectStore, type Ending } from '../effect-store.js';
import { foldChanges, isAdd, primaryKeyOf, type Values } from '../fold.js';
import type { RowChange } from '../projection.js';
import type { Behind } from '../sweep.js';
import { Outage, type Process } from './world.js';

export interface StoredEffect extends OutboxRow {
  state: 'pending' | 'running' | 'done' | 'parked';
  claims: number;
  failures: number;
  owner: string | null;
  dueMs: number;
}

/** Rows of one table, by primary key. */
type Rows = Map<string, Values>;

/** A database as it is on disk: what was committed. Outlives every process. */
export class Tables {
  readonly checkpoints = new Map<string, Checkpoint>();
  readonly rows = new Map<PgTable, Rows>();
  readonly effects = new Map<string, StoredEffect>();
  readonly hints = new Map<string, Hint>();
  readonly parked = new Map<string, Parked & { untilMs: number | null }>();
  readonly runs = new Set<string>();
  readonly attempts = new Map<string, Attempt & { owner: string; noted: boolean }>();
  /** Which transaction has which checkpoint. */
  readonly locks = new Map<string, object>();

  of(table: PgTable): Rows {
    const rows = this.rows.get(table) ?? new Map<string, Values>();
    this.rows.set(table, rows);
    return rows;
  }

  write(changes: RowChange[]): void {
    for (const [table, { upserts, patches, removes }] of foldChanges(changes)) {
      const rows = this.of(table);
      const keyOf = (values: Values) => JSON.stringify(primaryKeyOf(table).map((column) => values[column]));
      for (const key of removes) rows.delete(keyOf(key));
      for (const { key, values } of patches) {
        const row = rows.get(keyOf(key));
        if (!row) continue;
        for (const [column, value] of Object.entries(values)) row[column] = isAdd(value) ? Number(row[column]) + value.add : value;
      }
      for (const row of upserts) rows.set(keyOf(row), { ...rows.get(keyOf(row)), ...row });
    }
  }

  ask(effects: OutboxRow[], nowMs: number): void {
    for (const effect of effects) {
      if (!this.effects.has(effect.id)) {
        this.effects.set(effect.id, { ...effect, state: 'pending', claims: 0, failures: 0, owner: null, dueMs: nowMs });
      }
    }
  }
}

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

const keyOf = (consumer: string, tenantId: string) => `${consumer}:${tenantId}`;

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

class SimulatedHints extends HintStore {
  constructor(
    private readonly process: Process,
    private readonly tables: Tables,
    private readonly store: EventStore,
  ) {
    super();
  }
  override read(consumer: string, tenantIds: string[]): Promise<Map<string, Hint>> {
    return this.process.ask(
      () =>
        new Map(
          tenantIds.flatMap((tenantId) => {
            const hint = this.tables.hints.get(keyOf(consumer, tenantId));
            return hint ? [[tenantId, hint] as const] : [];
          }),
        ),
    );
  }
  override write(hints: (Hint & { consumer: string; tenantId: string })[]): Promise<void> {
    return this.process.ask(() => {
      for (const { consumer, tenantId, ...hint } of hints) this.tables.hints.set(keyOf(consumer, tenantId), hint);
    });
  }
  override async *behind(consumer: string, version: string): AsyncIterable<Behind[]> {
    yield await this.process.ask(async () =>
      (await this.store.heads()).flatMap(({ tenantId, position }) => {
        const hint = this.tables.hints.get(keyOf(consumer, tenantId));
        return hint?.version === version && hint.position === position ? [] : [{ tenantId, head: position }];
      }),
    );
  }
}

class SimulatedParked extends ParkedStore {
  constructor(
    private readonly process: Process,
    private readonly tables: Tables,
  ) {
    super();
  }
  override all(): ReturnType<ParkedStore['all']> {
    const { world } = this.process;
    return this.process.ask(() =>
      [...this.tables.parked.values()].map((each) => ({ ...each, retryInMs: each.untilMs === null ? null : each.untilMs - world.nowMs })),
    );
  }
  override put(parked: Parked): Promise<void> {
    const untilMs = parked.retryInMs === null ? null : this.process.world.nowMs + parked.retryInMs;
    return this.process.ask(() => {
      this.tables.parked.set(keyOf(parked.consumer, parked.tenantId), { ...parked, untilMs });
    });
  }
  override skipped(): ReturnType<ParkedStore['skipped']> {
    return this.process.ask(() => []);
  }
  override remove(consumer: string, tenantId: string): Promise<void> {
    return this.process.ask(() => {
      this.tables.parked.delete(keyOf(consumer, tenantId));
    });
  }
}

class SimulatedAttempts extends AttemptStore {
  constructor(
    private readonly process: Process,
    private readonly tables: Tables,
  ) {
    super();
  }

  override begin(owner: string): Promise<{ died: boolean; attempts: Attempt[] }> {
    return this.process.ask(() => {
      const died = this.tables.runs.has(owner);
      this.tables.runs.add(owner);
      const attempts: Attempt[] = [];
      for (const [key, each] of this.tables.attempts) {
        if (each.owner !== owner) continue;
        if (!each.noted) {
          this.tables.attempts.delete(key);
          continue;
        }
        Object.assign(each, { noted: false, crashes: each.crashes + 1 });
        attempts.push({ ...each });
      }
      return { died, attempts };
    });
  }
  override note(owner: string, attempts: Attempt[]): Promise<void> {
    return this.process.ask(() => {
      for (const attempt of attempts) {
        const key = `${owner}:${keyOf(attempt.consumer, attempt.event.tenantId)}`;
        const before = this.tables.attempts.get(key);
        const isSame = before?.event.id === attempt.event.id && before.event.position === before.untilPosition;
        this.tables.attempts.set(key, { ...attempt, owner, noted: true, crashes: isSame ? before.crashes : 0 });
      }
    });
  }
  override clear(owner: string, consumer: string, tenantIds: string[]): Promise<void> {
    return this.process.ask(() => {
      for (const tenantId of tenantIds) this.tables.attempts.delete(`${owner}:${keyOf(consumer, tenantId)}`);
    });
  }
  override end(owner: string): Promise<void> {
    return this.process.ask(() => {
      this.tables.runs.delete(owner);
    });
  }
}

/** The outbox as its worker sees it. */
export class SimulatedEffects extends EffectStore {
  constructor(
    private readonly process: Process,
    private readonly tables: Tables,
  ) {
    super();
  }

  override claim(owner: string, free: { name: string; free: number }[], leaseMs: number): Promise<Claimed[]> {
    return this.process.ask(() => {
      const { nowMs } = this.process.world;
      return free.flatMap(({ name, free: count }) =>
        [...this.tables.effects.values()]
          .filter((effect) => effect.name === name && (effect.state === 'pending' || effect.state === 'running') && effect.dueMs <= nowMs)
          .slice(0, count)
          .map((effect): Claimed => {
            effect.state = 'running';
            effect.claims += 1;
            effect.owner = owner;
            effect.dueMs = nowMs + leaseMs;
            const { id, tenant_id: tenantId, payload, causation_id: causationId, claims, failures } = effect;
            return { id, tenantId, name, payload, causationId, claims, failures };
          }),
      );
    });
  }

  override record(endings: Ending[]): Promise<void> {
    return this.process.ask(() => {
      for (const { id, claims, state, delayMs, failed } of endings) {
        const effect = this.claimed(id, claims);
        if (!effect) continue;
        Object.assign(effect, { state, owner: null, dueMs: this.process.world.nowMs + delayMs });
        if (failed) effect.failures += 1;
      }
    });
  }

  override renew(claims: Pick<Claimed, 'id' | 'claims'>[], leaseMs: number): Promise<Pick<Claimed, 'id' | 'claims'>[]> {
    return this.process.ask(() =>
      claims.filter(({ id, claims: count }) => {
        const effect = this.claimed(id, count);
        if (effect) effect.dueMs = this.process.world.nowMs + leaseMs;
        return effect !== undefined;
      }),
    );
  }

  override takeBack(owner: string): Promise<void> {
    return this.process.ask(() => {
      for (const effect of this.tables.effects.values()) {
        if (effect.state === 'running' && effect.owner === owner) effect.dueMs = this.process.world.nowMs;
      }
    });
  }

  private claimed(id: string, claims: number): StoredEffect | undefined {
    const effect = this.tables.effects.get(id);
    return effect?.state === 'running' && effect.claims === claims ? effect : undefined;
  }
}
