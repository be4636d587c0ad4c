import { getTableColumns } from 'drizzle-orm';
import { getTableConfig, type PgColumn, type PgTable } from 'drizzle-orm/pg-core';
import { isAdd, primaryKeyOf, type TableChanges, type Values } from './fold.js';

export interface Statement {
  text: string;
  values: unknown[];
}

/**
 * The SQL of folded changes: per table one DELETE, one UPDATE and one INSERT … ON CONFLICT at most, rows as one JSON parameter each.
 * (Rows of upserts that name other columns than the rest make a further INSERT.) Removes come first, so that a unique value can change hands.
 * Tables of a tenant's schema are named without a schema, as `withTenant` expects it.
 */
export function statementsOf(folded: Map<PgTable, TableChanges>): Statement[] {
  const statements: Statement[] = [];
  for (const [table, { removes }] of folded) if (removes.length > 0) statements.push(deletion(table, removes));
  for (const [table, { patches }] of folded) if (patches.length > 0) statements.push(update(table, patches));
  for (const [table, { upserts }] of folded) {
    for (const rows of groupBy(upserts, (row) =>
      Object.keys(row)
        .filter((property) => row[property] !== undefined)
        .sort()
        .join(),
    ).values()) {
      statements.push(insertion(table, rows));
    }
  }
  return statements;
}

/** Empties a table of one tenant's rows; null for a table without a tenant column, which a rebuild only refills. */
export function emptying(table: PgTable, tenantId: string): Statement | null {
  const column = getTableColumns(table)['tenantId'] as PgColumn | undefined;
  return column ? { text: `DELETE FROM ${nameOf(table)} WHERE ${quote(column.name)} = $1`, values: [tenantId] } : null;
}

function insertion(table: PgTable, rows: Values[]): Statement {
  const columns = columnsOf(table);
  const key = new Set(primaryKeyOf(table));
  const named = Object.keys(rows[0] as Values).filter((property) => rows[0]?.[property] !== undefined && known(table, columns, property));
  const names = named.map((property) => quote((columns[property] as PgColumn).name)).join(', ');
  const set = Object.entries(columns)
    .filter(([property, column]) => !key.has(property) && !column.generated && !column.generatedIdentity)
    .map(([property, column]) => `${quote(column.name)} = ${named.includes(property) ? `excluded.${quote(column.name)}` : 'DEFAULT'}`);
  const conflict = `ON CONFLICT (${[...key].map((property) => quote((columns[property] as PgColumn).name)).join(', ')})`;
  return {
    text:
      `INSERT INTO ${nameOf(table)} (${names}) SELECT ${names} FROM ${recordset(columns, named)}` +
      ` ${conflict} ${set.length > 0 ? `DO UPDATE SET ${set.join(', ')}` : 'DO NOTHING'}`,
    values: [json(columns, named, rows)],
  };
}

function deletion(table: PgTable, keys: Values[]): Statement {
  const columns = columnsOf(table);
  const key = primaryKeyOf(table);
  return {
    text: `DELETE FROM ${nameOf(table)} t USING ${recordset(columns, key)} WHERE ${sameKey(columns, key)}`,
    values: [json(columns, key, keys)],
  };
}

/** A column that only some of the patches change, or that some set and some add to, is told apart per row by a mode: 1 set, 2 add, null leave. */
function update(table: PgTable, patches: TableChanges['patches']): Statement {
  const columns = columnsOf(table);
  const key = primaryKeyOf(table);
  const changed = [...new Set(patches.flatMap(({ values }) => Object.keys(values).filter((property) => values[property] !== undefined)))];
  const modes: string[] = [];
  const set = changed.map((property) => {
    const column = known(table, columns, property);
    const name = quote(column.name);
    if (patches.every(({ values }) => values[property] !== undefined && !isAdd(values[property]))) return `${name} = r.${name}`;
    if (patches.every(({ values }) => isAdd(values[property]))) return `${name} = t.${name} + r.${name}`;
    modes.push(property);
    const sum = isNumber(column) ? ` WHEN 2 THEN t.${name} + r.${name}` : '';
    return `${name} = CASE r.${quote(`${column.name} mode`)} WHEN 1 THEN r.${name}${sum} ELSE t.${name} END`;
  });
  const rows = patches.map(({ key: values, values: given }) => {
    const row: Values = json1(columns, key, values);
    for (const property of changed) {
      const value = given[property];
      const column = columns[property] as PgColumn;
      if (modes.includes(property)) row[`${column.name} mode`] = value === undefined ? null : isAdd(value) ? 2 : 1;
      if (value !== undefined) row[column.name] = isAdd(value) ? value.add : toJson(column, value);
    }
    return row;
  });
  const extra = modes.map((property) => `${quote(`${(columns[property] as PgColumn).name} mode`)} int`);
  return {
    text: `UPDATE ${nameOf(table)} t SET ${set.join(', ')} FROM ${recordset(columns, [...key, ...changed], extra)} WHERE ${sameKey(columns, key)}`,
    values: [JSON.stringify(rows)],
  };
}

const columnsOf = (table: PgTable) => getTableColumns(table) as Record<string, PgColumn>;
const quote = (name: string) => `"${name.replaceAll('"', '""')}"`;
const isNumber = (column: PgColumn) => /^(smallint|integer|bigint|numeric|real|double precision)/.test(column.getSQLType());

function nameOf(table: PgTable): string {
  const { schema, name } = getTableConfig(table);
  return schema === undefined ? quote(name) : `${quote(schema)}.${quote(name)}`;
}

function known(table: PgTable, columns: Record<string, PgColumn>, property: string): PgColumn {
  const column = columns[property];
  if (!column) throw new Error(`Table ${getTableConfig(table).name} has no column ${property}`);
  return column;
}

function recordset(columns: Record<string, PgColumn>, properties: string[], extra: string[] = []): string {
  const typed = properties.map((property) => `${quote((columns[property] as PgColumn).name)} ${typeOf(columns[property] as PgColumn)}`);
  return `json_to_recordset($1::json) AS r(${[...typed, ...extra].join(', ')})`;
}
/** A serial's value is a plain number. */
const typeOf = (column: PgColumn) =>
  column.getSQLType().replace('bigserial', 'bigint').replace('smallserial', 'smallint').replace('serial', 'integer');

const sameKey = (columns: Record<string, PgColumn>, key: string[]) =>
  key
    .map((property) => quote((columns[property] as PgColumn).name))
    .map((name) => `t.${name} = r.${name}`)
    .join(' AND ');

const json = (columns: Record<string, PgColumn>, properties: string[], rows: Values[]) =>
  JSON.stringify(rows.map((row) => json1(columns, properties, row)));

function json1(columns: Record<string, PgColumn>, properties: string[], row: Values): Values {
  const out: Values = {};
  for (const property of properties) {
    const column = columns[property] as PgColumn;
    out[column.name] = toJson(column, row[property]);
  }
  return out;
}

/** A value in the form that `json_to_recordset` reads for the column's type. */
function toJson(column: PgColumn, value: unknown): unknown {
  if (value === null || value === undefined) return null;
  const type = column.getSQLType();
  if (type === 'json' || type === 'jsonb' || Array.isArray(value)) return value;
  if (typeof value === 'bigint') return String(value);
  if (Buffer.isBuffer(value)) return `\\x${value.toString('hex')}`;
  return column.mapToDriverValue(value);
}

function groupBy<T>(items: T[], by: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const key = by(item);
    const group = groups.get(key);
    if (group) group.push(item);
    else groups.set(key, [item]);
  }
  return groups;
}
