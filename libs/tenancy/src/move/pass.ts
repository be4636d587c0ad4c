import { isDeepStrictEqual } from 'node:util';
import { DomainError } from '@tenantry/contracts/errors';
import type { Client } from 'pg';
import type { Placement } from '../placement.js';
import { type Delta, mergeRows, readDelta, replaceRows } from './deltas.js';
import { forgetNotes, readNotes } from './notes.js';
import { checksum, copyTable, emptyTables } from './rows.js';
import { asOwner, inSchema, type Move } from './side.js';
import { type MovedTable, readTables } from './tables.js';

/** Notes that one pass takes; and how few may be left for the last pass, which happens while everybody waits. */
const notesPerPass = 5_000;
const fewNotes = 50;
/** A pass that took no longer leaves as little behind, if it took all that there was: of a row that is always changed, thousands of notes are quickly taken. */
const shortPassMs = 50;
const mostPasses = 200;

const differs = (table: string) =>
  new DomainError('placement.copy_differs', { detail: `The copy of ${table} is not what the original is.` });

/** More is left to be taken over than everybody should wait for. */
export class TooMuch extends Error {}

/** Types lose their schema under its own search path, so that those of two places compare. */
export const productTables = (client: Client, place: Placement): Promise<MovedTable[]> =>
  asOwner(client, place, () => readTables(client, place.appSchema), { snapshot: true, path: place.appSchema });

export const notMovable = (detail: string) => new DomainError('placement.not_movable', { detail });

/**
 * The product's tables that the source has, with their columns in the target's order.
 * @throws DomainError `placement.not_movable` where one of the shared tables would show or lose other tenants' rows, or do more than take this one's
 */
export async function tablesOf(source: Client, target: Client, { from, to }: Move): Promise<MovedTable[]> {
  const [original, copied] = await Promise.all([productTables(source, from), productTables(target, to)]);
  const names = new Set(original.map(({ name }) => name));
  const tables = copied.filter(({ name }) => names.has(name));
  // Asked at each step: it may have been changed since the one before. Who owns tables is kept to one tenant's rows by their policies alone.
  if (from.isolation === 'shared') {
    const open = original.find(({ forced, columns }) => !forced && columns.some(({ name }) => name === 'tenant_id'));
    if (open) throw notMovable(`The shared table ${open.name} does not keep tenants apart.`);
  }
  if (to.isolation === 'shared')
    for (const { name, forced, key, triggers } of tables) {
      if (!forced || key[0] !== 'tenant_id') throw notMovable(`The shared table ${name} does not keep tenants apart.`);
      if (triggers.length > 0) throw notMovable(`The shared table ${name} has triggers, which would run for copied rows too.`);
    }
  return tables;
}

/** Both within the transactions that are open. @param keys the rows to be compared; without: all. Gives their number */
async function compare(source: Client, target: Client, { from, to }: Move, table: MovedTable, keys?: readonly string[]): Promise<number> {
  const [original, copied] = await Promise.all([
    checksum(source, from.appSchema, table, keys),
    checksum(target, to.appSchema, table, keys),
  ]);
  if (!isDeepStrictEqual(original, copied)) throw differs(table.name);
  return Number(original.rows);
}

/** Everything, as of the instant of the source's transaction. Gives the number of rows. */
export async function compareAll(source: Client, target: Client, move: Move, tables: readonly MovedTable[]): Promise<number> {
  let rows = 0;
  for (const table of tables) rows += await compare(source, target, move, table);
  return rows;
}

interface PassOptions {
  /** First thing in the instant that is taken over. */
  atSource?: () => Promise<void>;
  /** Once that is applied and compared, in the same transactions. */
  atTarget?: () => Promise<void>;
  /** What is more is not taken at all. @throws TooMuch */
  atMost?: { notes: number; rowsWithoutKey: number };
}

/** One pass: what is noted, as of one instant; each row of it is compared once it is there. Gives how many notes there were. */
export async function pass(
  source: Client,
  target: Client,
  move: Move,
  tables: readonly MovedTable[],
  { atSource, atTarget, atMost }: PassOptions = {},
): Promise<number> {
  const { from, to } = move;
  const ids = await asOwner(
    source,
    from,
    async () => {
      await atSource?.();
      const notes = await readNotes(source, from, notesPerPass);
      if (atMost && notes.ids.length > atMost.notes) throw new TooMuch(`${notes.ids.length} changes were left`);
      const deltas: Delta[] = [];
      for (const table of tables) {
        const keys = notes.keys.get(table.name);
        if (keys && keys.length > 0) deltas.push(await readDelta(source, from.appSchema, table, keys));
      }
      const whole = tables.filter(({ name }) => notes.whole.has(name));
      if (atMost) for (const { name } of whole) await refuseLarge(source, from, name, atMost.rowsWithoutKey);
      if (deltas.length > 0 || whole.length > 0 || atTarget)
        await asOwner(target, to, async () => {
          const into = { client: target, tenantId: to.tenantId, schema: to.appSchema };
          for (const table of whole) {
            await emptyTables(target, to.appSchema, [table]);
            await copyTable(source, into, from.appSchema, table);
          }
          const between = { source, fromSchema: from.appSchema, into };
          if (to.isolation === 'shared') await mergeRows(between, deltas, tables);
          else await replaceRows(between, deltas);
          for (const { table, keys } of deltas) await compare(source, target, move, table, keys);
          for (const table of whole) await compare(source, target, move, table);
          await atTarget?.();
        });
      return notes.ids;
    },
    { snapshot: true },
  );
  if (ids.length > 0 && !atMost) await forgetNotes(source, from, ids);
  return ids.length;
}

async function refuseLarge(source: Client, { appSchema }: Placement, name: string, most: number): Promise<void> {
  const { rows } = await source.query<{ many: boolean }>(
    `SELECT count(*) > ${most} AS many FROM (SELECT FROM ${inSchema(appSchema, name)} LIMIT ${most + 1}) counted`,
  );
  if (rows[0]!.many) throw new TooMuch(`${name} has no primary key and changes: all of its rows would be copied while everybody waits`);
}

/** Pass by pass, until little is left. Gives how many there were. */
export async function catchUpWith(source: Client, target: Client, move: Move, tables: readonly MovedTable[]): Promise<number> {
  for (let passes = 1; ; passes++) {
    const begun = performance.now();
    const taken = await pass(source, target, move, tables);
    const isShort = taken < notesPerPass && performance.now() - begun < shortPassMs;
    if (taken < fewNotes || isShort || passes === mostPasses) return passes;
  }
}
