import type { ClientBase } from 'pg';
import { identifier, sqlState } from '../sql.js';
import { inSchema } from './side.js';
import type { MovedTable } from './tables.js';

const targetBytes = 1_000_000;
const mostRows = 5_000;
/** Rows above this are copied apart, so many at a time that even the largest would not take more than `heldBytes`. */
const largeBytes = 16_000;
const heldBytes = 32_000_000;

/** A row as the text of its composite type: every type's own input and output, whatever it holds. In the order of the target's columns. */
export const asText = ({ columns }: MovedTable, alias = '') =>
  `ROW(${columns.map(({ name }) => `${alias}${identifier(name)}`).join(', ')})::text`;

/** Inserts rows given as texts in $1. Generated columns make themselves. */
function insertText(schema: string, { name, columns }: MovedTable, onConflict: string): string {
  const given = columns.filter(({ generated }) => !generated).map((column) => identifier(column.name));
  const into = inSchema(schema, name);
  return `INSERT INTO ${into} (${given.join(', ')}) OVERRIDING SYSTEM VALUE
    SELECT ${given.map((column) => `(g.r).${column}`).join(', ')} FROM (SELECT line::${into} AS r FROM unnest($1::text[]) AS lines(line) OFFSET 0) g ${onConflict}`;
}

/** Where rows are put. */
export interface Into {
  client: ClientBase;
  tenantId: string;
  schema: string;
}

/**
 * Inserts rows given as texts. Checks, generated columns and indexes may call functions of the product's: they run as its owner, in a
 * function from which no role is to be had. @throws Error with the SQLSTATE of what was wrong
 */
export async function insertRows(
  { client, tenantId, schema }: Into,
  table: MovedTable,
  lines: readonly string[],
  onConflict = '',
): Promise<void> {
  const text = insertText(schema, table, onConflict);
  if (!table.ofProduct) {
    await client.query(text, [lines]);
    return;
  }
  try {
    await client.query('SELECT tenancy.run_app($1, $2, ARRAY[$3], $4)', [schema, tenantId, text, lines]);
  } catch (error) {
    const state = sqlState(error) === 'TG006' && /^\w{5}/.exec((error as Error).message)?.[0];
    throw state ? Object.assign(error as Error, { code: state }) : error;
  }
}

/** Sizes are those of storage, for which no value is read that is stored apart. */
export const storedBytes = ({ columns }: MovedTable, alias = '') =>
  columns.map(({ name }) => `coalesce(pg_column_size(${alias}${identifier(name)}), 0)`).join(' + ') || '0';

/** All rows that the source's transaction sees, the large ones apart from the others: two batches in memory. Gives their number. */
export async function copyTable(source: ClientBase, into: Into, fromSchema: string, table: MovedTable): Promise<number> {
  const bytes = storedBytes(table);
  const { rows } = await source.query<{ largest: number }>(
    `SELECT coalesce(max(${bytes}), 0)::int AS largest FROM ${inSchema(fromSchema, table.name)}`,
  );
  const { largest } = rows[0]!;
  const copied = await copyRows(source, into, fromSchema, table, `${bytes} <= ${largeBytes}`, mostRows);
  if (largest <= largeBytes) return copied;
  const most = Math.max(1, Math.floor(heldBytes / largest));
  return copied + (await copyRows(source, into, fromSchema, table, `${bytes} > ${largeBytes}`, most));
}

async function copyRows(
  source: ClientBase,
  into: Into,
  fromSchema: string,
  table: MovedTable,
  which: string,
  most: number,
): Promise<number> {
  await source.query(
    `DECLARE moving NO SCROLL CURSOR FOR SELECT ${asText(table)} AS line FROM ${inSchema(fromSchema, table.name)} WHERE ${which}`,
  );
  let size = Math.min(500, most);
  const fetch = async () => {
    const { rows } = await source.query<{ line: string }>(`FETCH ${size} FROM moving`);
    const lines = rows.map(({ line }) => line);
    const bytes = lines.reduce((sum, line) => sum + line.length, 0);
    if (bytes > 0) size = Math.max(1, Math.min(most, Math.floor((lines.length * targetBytes) / bytes)));
    return lines;
  };
  let copied = 0;
  let next = fetch();
  for (let lines = await next; lines.length > 0; lines = await next) {
    next = fetch();
    next.catch(() => undefined); // awaited above
    await insertRows(into, table, lines);
    copied += lines.length;
  }
  await source.query('CLOSE moving');
  return copied;
}

/** Children first. */
export async function emptyTables(target: ClientBase, schema: string, tables: readonly MovedTable[]): Promise<void> {
  for (const { name } of [...tables].reverse()) await target.query(`DELETE FROM ${inSchema(schema, name)}`);
}

/** Keys are JSON texts, which no number passes through that JavaScript would round. */
export const jsonArray = (keys: readonly string[]) => `[${keys.join(',')}]`;

/** The keys in $1 as the rows `k`, each once: the same instant may have been noted as two texts. */
export const givenKeys = (from: string, { key }: MovedTable) =>
  `(SELECT DISTINCT ${key.map(identifier).join(', ')} FROM jsonb_populate_recordset(NULL::${from}, $1::jsonb)) k`;

export const matches = ({ key }: MovedTable, alias: string, given = 'k') =>
  key.map((column) => `${alias}.${identifier(column)} = ${given}.${identifier(column)}`).join(' AND ');

interface Checksum {
  rows: string;
  sum: string;
}

/** Number of rows and a sum of their hashes: whatever order they are in. Restricted to some keys where there are any. */
export async function checksum(client: ClientBase, schema: string, table: MovedTable, keys?: readonly string[]): Promise<Checksum> {
  const from = inSchema(schema, table.name);
  const only = keys ? `JOIN ${givenKeys(from, table)} ON ${matches(table, 's')}` : '';
  const { rows } = await client.query<Checksum>(
    `SELECT count(*)::text AS rows, coalesce(sum(hashtextextended(${asText(table, 's.')}, 0)::numeric), 0)::text AS sum FROM ${from} s ${only}`,
    keys ? [jsonArray(keys)] : [],
  );
  return rows[0]!;
}
