import type { PgTable } from 'drizzle-orm/pg-core';
import type { Checkpoint } from '../checkpoints.js';
import type { OutboxRow } from '../consumer.js';
import type { Attempt, Hint, Parked } from '../consumer-rows.js';
import { foldChanges, isAdd, primaryKeyOf, type Values } from '../fold.js';
import type { RowChange } from '../projection.js';

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

/** Of what there is one per consumer and tenant. */
export const keyOf = (consumer: string, tenantId: string): string => `${consumer}:${tenantId}`;
