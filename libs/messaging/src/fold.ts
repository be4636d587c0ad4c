import { getTableColumns } from 'drizzle-orm';
import { getTableConfig, type PgColumn, type PgTable } from 'drizzle-orm/pg-core';
import type { Add, RowChange } from './projection.js';

export type Values = Record<string, unknown>;

/** What is left of a batch for one table: at most one change per primary key. */
export interface TableChanges {
  upserts: Values[];
  patches: { key: Values; values: Values }[];
  removes: Values[];
}

type Change = { op: 'upsert'; row: Values } | { op: 'patch'; key: Values; values: Values } | { op: 'remove'; key: Values };

/** Property names (not column names) of a table's primary key, in its order. */
export function primaryKeyOf(table: PgTable): string[] {
  const known = primaryKeys.get(table);
  if (known) return known;
  const nameOf = new Map(Object.entries(getTableColumns(table)).map(([property, column]) => [(column as PgColumn).name, property]));
  const config = getTableConfig(table);
  const columns = config.primaryKeys[0]?.columns ?? config.columns.filter((column) => column.primary);
  const key = columns.map((column) => nameOf.get(column.name) as string);
  if (key.length === 0) throw new Error(`Table ${config.name} has no primary key: row changes can't be folded`);
  primaryKeys.set(table, key);
  return key;
}
const primaryKeys = new WeakMap<PgTable, string[]>();

export const isAdd = (value: unknown): value is Add =>
  typeof value === 'object' && value !== null && Object.keys(value).length === 1 && typeof (value as Add).add === 'number';

/**
 * Folds row changes, in their order, into one change per table and primary key, with the same outcome as applying them one by one:
 * patches merge and their `add`s sum up; a patch after an upsert goes into the row; an upsert or a remove replaces what was before.
 * @throws Error where a change leaves out a part of the primary key, or adds to something that isn't a number
 */
export function foldChanges(changes: Iterable<RowChange>): Map<PgTable, TableChanges> {
  const tables = new Map<PgTable, Map<string, Change>>();
  for (const change of changes) {
    const byKey = tables.get(change.table) ?? new Map<string, Change>();
    tables.set(change.table, byKey);
    const key = keyText(change.table, change.op === 'upsert' ? change.row : change.key);
    const next = merge(change.table, byKey.get(key), change);
    if (next) byKey.set(key, next);
  }
  const folded = new Map<PgTable, TableChanges>();
  for (const [table, byKey] of tables) {
    const sets: TableChanges = { upserts: [], patches: [], removes: [] };
    for (const change of byKey.values()) {
      if (change.op === 'upsert') sets.upserts.push(change.row);
      else if (change.op === 'patch') sets.patches.push({ key: change.key, values: change.values });
      else sets.removes.push(change.key);
    }
    folded.set(table, sets);
  }
  return folded;
}

function keyText(table: PgTable, values: Values): string {
  return JSON.stringify(
    primaryKeyOf(table).map((property) => {
      const value = values[property];
      if (value === undefined || value === null)
        throw new Error(`A change of ${getTableConfig(table).name} leaves out ${property} of its primary key`);
      return typeof value === 'bigint' ? String(value) : value;
    }),
  );
}

function merge(table: PgTable, before: Change | undefined, change: RowChange): Change | undefined {
  if (change.op === 'upsert') return { op: 'upsert', row: { ...change.row } };
  if (change.op === 'remove') return { op: 'remove', key: keyPart(table, change.key) };
  if (before?.op === 'remove') return before;
  if (before?.op === 'upsert') {
    const row = { ...before.row };
    for (const [property, value] of given(change.values))
      row[property] = isAdd(value) ? sum(startOf(table, row, property), value.add) : value;
    return { op: 'upsert', row };
  }
  const values: Values = { ...before?.values };
  for (const [property, value] of given(change.values)) {
    const old = values[property];
    if (!isAdd(value) || old === undefined) values[property] = value;
    else values[property] = isAdd(old) ? { add: old.add + value.add } : sum(old, value.add);
  }
  return { op: 'patch', key: keyPart(table, change.key), values };
}

const given = (values: Values) => Object.entries(values).filter(([, value]) => value !== undefined);
const keyPart = (table: PgTable, values: Values): Values =>
  Object.fromEntries(primaryKeyOf(table).map((property) => [property, values[property]]));

/** A column that the row leaves out begins at its default. */
function startOf(table: PgTable, row: Values, property: string): unknown {
  return property in row ? row[property] : (getTableColumns(table)[property] as PgColumn | undefined)?.default;
}

/** As in SQL, null plus something stays null. */
function sum(old: unknown, by: number): unknown {
  if (old === null || old === undefined) return null;
  if (typeof old === 'bigint') return old + BigInt(by);
  if (typeof old === 'number') return old + by;
  throw new Error(`add(${by}) to a value that is not a number`);
}
