import type { ClientBase } from 'pg';
import { identifier, literal, sqlState } from '../sql.js';
import { asText, givenKeys, type Into, insertRows, jsonArray, matches, storedBytes } from './rows.js';
import { inSchema } from './side.js';
import type { MovedTable } from './tables.js';

/** What is read of one table at once. A row that is larger comes alone. */
const batchRows = 1_000;
const batchBytes = 4_000_000;

/** What changed of one table, by keys; the rows are read as they are written. */
export interface Delta {
  table: MovedTable;
  keys: readonly string[];
  /** The keys of rows that are there, in batches that fit into memory. */
  present: string[][];
  /** The keys that have none any more. */
  gone: string[];
}

/** From where to where, within transactions that are open. */
export interface Between {
  source: ClientBase;
  fromSchema: string;
  into: Into;
}

/** What became of the rows of the keys, as the source's transaction sees them. */
export async function readDelta(source: ClientBase, schema: string, table: MovedTable, keys: readonly string[]): Promise<Delta> {
  const from = inSchema(schema, table.name);
  const columns = table.key.map((column) => `k.${identifier(column)}`).join(', ');
  const { rows } = await source.query<{ key: string; bytes: number | null }>(
    `SELECT g.key, (SELECT ${storedBytes(table, 's.')} FROM ${from} s WHERE ${matches(table, 's', 'g')})::int AS bytes
     FROM (SELECT DISTINCT ON (${columns}) e::text AS key, ${columns}
           FROM jsonb_array_elements($1::jsonb) e CROSS JOIN LATERAL jsonb_populate_record(NULL::${from}, e) k) g`,
    [jsonArray(keys)],
  );
  const present: string[][] = [];
  let room = 0;
  for (const { key, bytes } of rows) {
    if (bytes === null) continue;
    const last = present.at(-1);
    if (last && last.length < batchRows && bytes <= room) last.push(key);
    else {
      present.push([key]);
      room = batchBytes;
    }
    room -= bytes;
  }
  return { table, keys, present, gone: rows.filter(({ bytes }) => bytes === null).map(({ key }) => key) };
}

async function writePresent({ source, fromSchema, into }: Between, { table, present }: Delta, onConflict = ''): Promise<void> {
  const from = inSchema(fromSchema, table.name);
  const read = `SELECT ${asText(table, 's.')} AS line FROM ${from} s JOIN ${givenKeys(from, table)} ON ${matches(table, 's')}`;
  for (const keys of present) {
    const { rows } = await source.query<{ line: string }>(read, [jsonArray(keys)]);
    await insertRows(
      into,
      table,
      rows.map(({ line }) => line),
      onConflict,
    );
  }
}

async function deleteKeys({ client, schema }: Into, table: MovedTable, keys: readonly string[]): Promise<void> {
  const into = inSchema(schema, table.name);
  if (keys.length > 0)
    await client.query(`DELETE FROM ${into} t USING ${givenKeys(into, table)} WHERE ${matches(table, 't')}`, [jsonArray(keys)]);
}

/** Into tables without foreign keys and triggers: whatever was there of the keys goes first, so that unique values may have changed hands. */
export async function replaceRows(between: Between, deltas: readonly Delta[]): Promise<void> {
  for (const { table, keys } of [...deltas].reverse()) await deleteKeys(between.into, table, keys);
  for (const delta of deltas) await writePresent(between, delta);
}

/** Unique value in use, foreign key, RESTRICT, and a column that makes its own values and takes no other. */
const orderMatters = new Set(['23505', '23503', '23001', '428C9']);

/**
 * Into tables whose foreign keys are at work, parents first: a row that still is, is not deleted, because others may point to it. Where
 * that meets a value that has changed hands, or a row that another still pointed to, all rows that hang on the changed ones go with them
 * and come again.
 */
export async function mergeRows(between: Between, deltas: readonly Delta[], tables: readonly MovedTable[]): Promise<void> {
  if (deltas.length === 0) return;
  const { source, fromSchema, into } = between;
  await into.client.query('SET CONSTRAINTS ALL DEFERRED; SAVEPOINT merging');
  try {
    for (const { table, gone } of [...deltas].reverse()) await deleteKeys(between.into, table, gone);
    for (const delta of deltas) await writePresent(between, delta, updating(delta.table));
    await into.client.query('SET CONSTRAINTS ALL IMMEDIATE');
  } catch (error) {
    if (!orderMatters.has(sqlState(error) ?? '')) throw error;
    await into.client.query('ROLLBACK TO merging; SET CONSTRAINTS ALL DEFERRED');
    const keys = await withDependants(into, deltas, tables);
    const all: Delta[] = [];
    for (const table of tables) {
      const mine = keys.get(table.name);
      if (mine) all.push(await readDelta(source, fromSchema, table, [...mine]));
    }
    await replaceRows(between, all);
  }
}

function updating(table: MovedTable): string {
  const key = new Set(table.key);
  const set = table.columns
    .filter(({ name, generated }) => !generated && !key.has(name))
    .map(({ name }) => `${identifier(name)} = excluded.${identifier(name)}`);
  return `ON CONFLICT (${table.key.map(identifier).join(', ')}) ${set.length > 0 ? `DO UPDATE SET ${set.join(', ')}` : 'DO NOTHING'}`;
}

/** The keys with those of all rows at the target that point to them, over however many tables. */
async function withDependants(
  { client, schema }: Into,
  deltas: readonly Delta[],
  tables: readonly MovedTable[],
): Promise<Map<string, Set<string>>> {
  const found = new Map(deltas.map(({ table, keys }) => [table.name, new Set(keys)]));
  const named = new Map(tables.map((table) => [table.name, table]));
  for (let grew = true; grew; ) {
    grew = false;
    for (const child of tables)
      for (const { name, columns, references } of child.parents) {
        const parent = named.get(name);
        const keys = found.get(name);
        if (!parent || !keys) continue;
        const [of, to] = [inSchema(schema, child.name), inSchema(schema, name)];
        const pairs = columns.map((column, at) => `c.${identifier(column)} = p.${identifier(references[at]!)}`).join(' AND ');
        const key = child.key.map((column) => `${literal(column)}, c.${identifier(column)}`).join(', ');
        const { rows } = await client.query<{ key: string }>(
          `SELECT jsonb_build_object(${key})::text AS key FROM ${of} c JOIN ${to} p ON ${pairs} JOIN ${givenKeys(to, parent)} ON ${matches(parent, 'p')}`,
          [jsonArray([...keys])],
        );
        const mine = found.get(child.name) ?? new Set();
        const before = mine.size;
        for (const row of rows) mine.add(row.key);
        if (mine.size > before) {
          found.set(child.name, mine);
          grew = true;
        }
      }
  }
  return found;
}
