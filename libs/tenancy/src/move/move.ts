import { isDeepStrictEqual } from 'node:util';
import { DomainError } from '@tenantry/contracts/errors';
import type { Client } from 'pg';
import type { PlaceContext } from '../place-context.js';
import type { Placement } from '../placement.js';
import { sameDatabase } from '../servers.js';
import { closeGate, openGate } from './gate.js';
import { beginNotes, endNotes, forgetAllNotes, forgetNotes, hasNotes, readNotes } from './notes.js';
import { copyVersions, generationOf, makePlace, readVersions, removePlace, savePlaced } from './places.js';
import { checksum, copyTable, type Delta, emptyTables, mergeRows, readDelta, replaceRows } from './rows.js';
import { asOwner, inSchema, type Move, onBoth, onDatabase } from './side.js';
import {
  buildStructure,
  copySequences,
  fingerprint,
  finishStructure,
  loosenStructure,
  readStructure,
  type Structure,
  validateForeignKeys,
} from './structure.js';
import { inCircles, type MovedTable, readTables } from './tables.js';

/** Notes that one pass takes; and how few may be left for the last pass, which happens while everybody waits. */
const notesPerPass = 5_000;
const fewNotes = 300;
const mostPasses = 200;
/** Tables of up to so many rows are compared as a whole while everybody waits; of larger ones what has changed since the comparison before. */
const comparedWhole = 20_000;

const notMovable = (detail: string) => new DomainError('placement.not_movable', { detail });
/** The last look before anything is dropped, whatever went wrong before. */
const livesThere = ({ tenantId, database, schema }: Placement) =>
  new Error(`The tenant ${tenantId} lives in ${database}.${schema}: that place is not removed`);
const differs = (table: string) =>
  new DomainError('placement.copy_differs', { detail: `The copy of ${table} is not what the original is.` });

/**
 * Makes the target with the product's structure, empty. Gives what the structure is, so that a change meanwhile is noticed.
 * @throws DomainError `placement.not_movable`
 */
export async function prepare(context: PlaceContext, { from, to }: Move): Promise<{ structure: string }> {
  const structure = await onDatabase(context, from, (client) => readStructure(client, from));
  if (to.isolation === 'shared') await checkShared(context, { from, to });
  await makePlace(context, to, from);
  if (to.isolation !== 'shared') await onDatabase(context, to, (client) => buildStructure(client, to, structure));
  await onBoth(context, { from, to }, async (source, target) =>
    copyVersions(context, { from, to }, target, await readVersions(source, from), { anew: true }),
  );
  return { structure: fingerprint(structure) };
}

/** Shared tables are there already, with other tenants' rows: they must fit, and take rows as they come. */
const checkShared = (context: PlaceContext, move: Move): Promise<void> =>
  onBoth(context, move, async (source, target) => {
    const shared = await fittingTables(source, target, move);
    for (const { name, forced, key, triggers } of shared) {
      if (!forced || key[0] !== 'tenant_id') throw notMovable(`The shared table ${name} does not keep tenants apart.`);
      if (triggers.length > 0) throw notMovable(`The shared table ${name} has triggers, which would run for copied rows too.`);
    }
    const circle = inCircles(shared);
    if (circle.length > 0) throw notMovable(`Foreign keys of ${circle.join(', ')} lead in a circle: make one of them deferrable.`);
  });

/** The shared tables that the source has, all of them with the same columns. @throws DomainError `placement.not_movable` */
async function fittingTables(source: Client, target: Client, { from, to }: Move): Promise<MovedTable[]> {
  const [tables, shared] = await Promise.all([productTables(source, from), productTables(target, to)]);
  const there = new Map(shared.map((table) => [table.name, table]));
  for (const { name, columns } of tables) {
    const table = there.get(name);
    if (!table)
      throw notMovable(`The shared schema has no table ${name}: its blueprint does not support shared, or is of another version there.`);
    const signature = (of: MovedTable['columns']) =>
      of
        .map((column) => `${column.name} ${column.type} ${column.generated}`)
        .sort()
        .join();
    if (signature(table.columns) !== signature(columns)) throw notMovable(`The table ${name} has other columns in the shared schema.`);
  }
  return shared.filter(({ name }) => tables.some((table) => table.name === name));
}

/** Notes changes from now on, and copies everything as of one instant. */
export async function copy(context: PlaceContext, move: Move): Promise<{ rows: number }> {
  return onBoth(context, move, async (source, target) => {
    const tables = await tablesOf(source, target, move);
    await beginNotes(source, move.from, tables);
    return { rows: await copyAll(source, target, move, tables) };
  });
}

const copyAll = (source: Client, target: Client, { from, to }: Move, tables: readonly MovedTable[]): Promise<number> =>
  asOwner(
    source,
    from,
    () =>
      asOwner(target, to, async () => {
        await emptyTables(target, to.appSchema, tables);
        await target.query('SET CONSTRAINTS ALL DEFERRED');
        let rows = 0;
        for (const table of tables) rows += await copyTable(source, target, from.appSchema, to.appSchema, table);
        return rows;
      }),
    { snapshot: true },
  );

/** Types lose their schema under its own search path, so that those of two places compare. */
const productTables = (client: Client, place: Placement): Promise<MovedTable[]> =>
  asOwner(client, place, () => readTables(client, place.appSchema), { snapshot: true, path: place.appSchema });

/** The product's tables that the source has, with their columns in the target's order. */
async function tablesOf(source: Client, target: Client, { from, to }: Move): Promise<MovedTable[]> {
  const [original, copied] = await Promise.all([productTables(source, from), productTables(target, to)]);
  const names = new Set(original.map(({ name }) => name));
  return copied.filter(({ name }) => names.has(name));
}

/**
 * Takes over what has changed, pass by pass, until little is left; compares everything as of one instant; then copies the platform's
 * rows of the tenant with their checkpoints: whoever projects into them goes on from there.
 */
export async function catchUp(context: PlaceContext, move: Move): Promise<{ passes: number; rows: number }> {
  const { to } = move;
  return onBoth(context, move, async (source, target) => {
    const tables = await tablesOf(source, target, move);
    let passes = 0;
    for (let taken = notesPerPass; taken > fewNotes && passes < mostPasses; passes++)
      taken = (await pass(source, target, move, tables)).taken;
    await pass(source, target, move, tables, async () => {
      for (const table of tables) await compare(source, target, move, table);
    });
    const rows = await copyPlatformRows(source, target, move);
    // So that what is written at the target can be taken back to the source.
    await beginNotes(target, to, tables);
    return { passes: passes + 1, rows };
  });
}

/** Both within the transactions that are open. @param keys the rows to be compared; without: all */
async function compare(source: Client, target: Client, { from, to }: Move, table: MovedTable, keys?: readonly string[]): Promise<void> {
  const [original, copied] = await Promise.all([
    checksum(source, from.appSchema, table, keys),
    checksum(target, to.appSchema, table, keys),
  ]);
  if (!isDeepStrictEqual(original, copied)) throw differs(table.name);
}

/** One pass: what is noted, as of one instant, and compared. @param then within the same instant, once that is applied */
async function pass(
  source: Client,
  target: Client,
  move: Move,
  tables: readonly MovedTable[],
  then: () => Promise<void> = async () => undefined,
): Promise<{ taken: number }> {
  const { from, to } = move;
  const ids = await asOwner(
    source,
    from,
    async () => {
      const notes = await readNotes(source, from, notesPerPass);
      const deltas: Delta[] = [];
      for (const table of tables) {
        const keys = notes.keys.get(table.name);
        if (keys && keys.length > 0) deltas.push(await readDelta(source, from.appSchema, table, keys));
      }
      await asOwner(target, to, async () => {
        for (const table of tables.filter(({ name }) => notes.whole.has(name))) {
          await emptyTables(target, to.appSchema, [table]);
          await copyTable(source, target, from.appSchema, to.appSchema, table);
        }
        await (to.isolation === 'shared' ? mergeRows : replaceRows)(target, to.appSchema, deltas);
      });
      await asOwner(
        target,
        to,
        async () => {
          for (const { table, keys } of deltas) await compare(source, target, move, table, keys);
          await then();
        },
        { snapshot: true },
      );
      return notes.ids;
    },
    { snapshot: true },
  );
  if (ids.length > 0) await forgetNotes(source, from, ids);
  return { taken: ids.length };
}

/**
 * The platform's rows are projections with their checkpoints in the same schema: as of one instant they are a point to go on from. Where the
 * source has other versions of the tables nothing is copied, and they are rebuilt from the log.
 */
async function copyPlatformRows(source: Client, target: Client, { from, to }: Move): Promise<number> {
  return asOwner(
    source,
    from,
    () =>
      asOwner(target, to, async () => {
        const tables = await readTables(target, to.schema);
        await emptyTables(target, to.schema, tables);
        if ((await stampOf(source, from)) !== (await stampOf(target, to))) return 0;
        let rows = 0;
        for (const table of tables) rows += await copyTable(source, target, from.schema, to.schema, table);
        return rows;
      }),
    { snapshot: true },
  );
}
const stampOf = async (client: Client, { schema }: Placement): Promise<string | null> =>
  (
    await client.query<{ stamp: string | null }>(`SELECT obj_description(to_regnamespace(quote_ident($1))::oid, 'pg_namespace') AS stamp`, [
      schema,
    ])
  ).rows[0]?.stamp ?? null;

/**
 * Closes the source's gate and takes over the rest: from now on both hold the same, and nobody writes. Where that fails the gate is open
 * again: nobody waits for a repetition. @param closed called when the gate is. @throws DomainError `placement.not_movable` where the product's structure has changed since `prepare`
 */
export async function fence(
  context: PlaceContext,
  move: Move,
  prepared: { structure: string },
  closed: () => void = () => undefined,
): Promise<void> {
  const { from, to } = move;
  await onBoth(context, move, async (source, target) => {
    const tables = await tablesOf(source, target, move);
    // An attempt that failed late has left the tables as they are to be in use: a deletion of a row would take others along.
    if (to.isolation !== 'shared') await loosenStructure(target, to);
    // Shortly before, so that little is left.
    for (let taken = fewNotes + 1, passes = 0; taken > fewNotes && passes < mostPasses; passes++)
      taken = (await pass(source, target, move, tables)).taken;
    await closeGate(source, from);
    closed();
    try {
      const structure = await takeRest(context, source, target, move, tables);
      if (fingerprint(structure) !== prepared.structure) throw notMovable("The product's schema was changed while it was copied.");
      if (to.isolation !== 'shared') await finishStructure(target, to, structure);
      await copySequences(source, from, target, to);
      await forgetAllNotes(target, to);
    } catch (error) {
      await openGate(source, from);
      throw error;
    }
  });
}

/**
 * Behind the closed gate: what is still noted, and the versions that these rows are of. A version of tables that others share may come
 * in nevertheless, and changes rows or not. Gives the structure.
 */
async function takeRest(
  context: PlaceContext,
  source: Client,
  target: Client,
  move: Move,
  tables: readonly MovedTable[],
): Promise<Structure> {
  const versions = await readVersions(source, move.from);
  for (let taken = notesPerPass; taken === notesPerPass; ) ({ taken } = await pass(source, target, move, tables));
  const structure = await readStructure(source, move.from);
  if (!isDeepStrictEqual(versions, await readVersions(source, move.from)))
    throw new Error('A version of the product came in between: the rest is taken again');
  await copyVersions(context, move, target, versions, { anew: false });
  return structure;
}

/**
 * Compares what is small as a whole. What is large was, before the gate closed, and each row that changed since was when it was taken over:
 * to count it once more would have everybody wait for as long as that takes. Behind a closed gate.
 */
export async function verify(context: PlaceContext, move: Move): Promise<{ tables: number; rows: number }> {
  const { from, to } = move;
  return onBoth(context, move, async (source, target) => {
    const tables = await tablesOf(source, target, move);
    let rows = 0;
    for (const table of tables) {
      const [there, here] = await Promise.all([
        asOwner(source, from, () => sizeOf(source, from, table), { snapshot: true }),
        asOwner(target, to, () => sizeOf(target, to, table), { snapshot: true }),
      ]);
      if (there !== here) throw differs(table.name);
      rows += there;
      if (there > comparedWhole) continue;
      await asOwner(source, from, () => asOwner(target, to, () => compare(source, target, move, table), { snapshot: true }), {
        snapshot: true,
      });
    }
    return { tables: tables.length, rows };
  });
}
/** The number of rows; of more than are compared as a whole only that they are more, unless the table has no key to compare them by. */
async function sizeOf(client: Client, { appSchema }: Placement, { name, key }: MovedTable): Promise<number> {
  const most = key.length > 0 ? `LIMIT ${comparedWhole + 1}` : '';
  const { rows } = await client.query<{ n: string }>(
    `SELECT count(*) AS n FROM (SELECT FROM ${inSchema(appSchema, name)} ${most}) counted`,
  );
  return Number(rows[0]!.n);
}

/** The target is the tenant's place from now on. Its gate opens after the placement says so: until then both are closed. */
export async function switchOver(context: PlaceContext, { from, to }: Move): Promise<void> {
  await savePlaced(context, to, sameDatabase(from, to));
  if (!sameDatabase(from, to)) await onDatabase(context, to, (client) => openGate(client, to));
}

/** What can wait until everybody is in again. */
export const finish = (context: PlaceContext, { to }: Move): Promise<void> =>
  onDatabase(context, to, (client) => validateForeignKeys(client, to));

/** Lets everybody in at the source again, where the tenant still lives there: elsewhere a second gate would be open. */
export async function reopen(context: PlaceContext, { from }: Move): Promise<void> {
  if ((await generationOf(context, from.tenantId)) === from.generation) await onDatabase(context, from, (client) => openGate(client, from));
}

/**
 * The tenant lives at the source again, with what was written at the target meanwhile; nothing to do where it never left. Its placement is
 * a new one: whoever remembers either of the old is refused.
 */
export async function switchBack(context: PlaceContext, { from, to }: Move): Promise<Placement | null> {
  const generation = await generationOf(context, from.tenantId);
  if (generation < to.generation) return null;
  const back: Placement = { ...from, generation: to.generation + 1 };
  const reversed: Move = { from: to, to: back };
  if (generation === to.generation) {
    await onBoth(context, reversed, async (source, target) => {
      const prepared = await readyToGoBack(source, target, reversed, from);
      const tables = await tablesOf(source, target, reversed);
      for (let taken = fewNotes + 1, passes = 0; taken > fewNotes && passes < mostPasses; passes++)
        taken = (await pass(source, target, reversed, tables)).taken;
      await pass(source, target, reversed, tables, async () => {
        for (const table of tables) await compare(source, target, reversed, table);
      });
      await closeGate(source, to);
      try {
        const structure = await takeRest(context, source, target, reversed, tables);
        if (fingerprint(structure) !== prepared)
          throw new Error("The product's schema was changed meanwhile: what it holds is copied again");
        if (back.isolation !== 'shared') await finishStructure(target, back, structure);
        await copySequences(source, to, target, back);
        await verify(context, reversed);
      } catch (error) {
        await openGate(source, to);
        throw error;
      }
    });
    // Whoever comes between the two waits, as for any closed gate.
    if (!sameDatabase(from, to)) await onDatabase(context, back, (client) => openGate(client, back, 'closed'));
    await savePlaced(context, back, sameDatabase(from, to));
  }
  if (!sameDatabase(from, to)) await onDatabase(context, back, (client) => openGate(client, back));
  await finish(context, reversed);
  return back;
}

/**
 * The old place takes rows again. Where the product's schema has changed since (a campaign), it is made anew and everything is copied, as in
 * a move there; a copy that was not finished is known by the notes, which go before it begins. Gives what the structure is.
 */
async function readyToGoBack(source: Client, target: Client, reversed: Move, before: Placement): Promise<string> {
  const { from, to } = reversed;
  const structure = await readStructure(source, from);
  if (to.isolation === 'shared') {
    // Until a campaign has taken the shared tables as far, the tenant stays where it is: a column would be left behind.
    await fittingTables(source, target, reversed);
    return fingerprint(structure);
  }
  const isSame = fingerprint(await readStructure(target, to)) === fingerprint(structure);
  if (isSame && (await hasNotes(target, before))) {
    await loosenStructure(target, to);
    return fingerprint(structure);
  }
  await endNotes(target, before);
  await buildStructure(target, to, structure);
  const tables = await tablesOf(source, target, reversed);
  await beginNotes(source, from, tables);
  await copyAll(source, target, reversed, tables);
  return fingerprint(structure);
}

/** The source and everything that the move left at the target. @throws Error where the tenant does not live at the target */
export async function retire(context: PlaceContext, { from, to }: Move): Promise<void> {
  if ((await generationOf(context, from.tenantId)) !== to.generation) throw livesThere(from);
  await onDatabase(context, to, (client) => endNotes(client, to));
  if (from.isolation !== 'isolated') await onDatabase(context, from, (client) => endNotes(client, from));
  await removePlace(context, from, to);
}

/** What was made at the target, and the notes at the source. @throws Error where the tenant lives at the target */
export async function abandon(context: PlaceContext, { from, to }: Move): Promise<void> {
  if ((await generationOf(context, from.tenantId)) === to.generation) throw livesThere(to);
  await onDatabase(context, from, (client) => endNotes(client, from));
  if (to.isolation !== 'isolated') await onDatabase(context, to, (client) => endNotes(client, to));
  await removePlace(context, to, from);
}
