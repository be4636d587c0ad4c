import type { Client } from 'pg';
import type { PlaceContext } from '../place-context.js';
import type { Placement } from '../placement.js';
import { closeGate, letGo, openGate, whileHere } from './gate.js';
import { beginNotes, endNotes, hasNotes, thinNotes } from './notes.js';
import { catchUpWith, compareAll, notMovable, pass, productTables, tablesOf } from './pass.js';
import { announce, copyVersions, generationOf, makePlace, readVersions, removePlace, upgradePlace } from './places.js';
import { copyTable, emptyTables } from './rows.js';
import { asOwner, type Move, onBoth, onDatabase } from './side.js';
import { buildStructure, fingerprint, loosenStructure, readStructure, validateForeignKeys } from './structure.js';
import { announceTarget, cross, type Switched, type SwitchOptions, settle } from './switch.js';
import { inCircles, type MovedTable, readTables } from './tables.js';

/** A trial that finds nobody in is over at once. */
const trialMs = 1_000;

/** The last look before anything is dropped, whatever went wrong before. */
const livesThere = ({ tenantId, database, schema }: Placement) =>
  new Error(`The tenant ${tenantId} lives in ${database}.${schema}: that place is not removed`);

/**
 * Makes the target with the product's structure, empty. Gives what the structure is, so that a change meanwhile is noticed.
 * @throws DomainError `placement.not_movable`
 */
export async function prepare(context: PlaceContext, { from, to }: Move): Promise<{ structure: string }> {
  const structure = await onDatabase(context, from, (client) => readStructure(client, from));
  if (to.isolation === 'shared') await onBoth(context, { from, to }, (source, target) => checkShared(source, target, { from, to }));
  await whileHere(context, from, async () => {
    await makePlace(context, to, from);
    if (to.isolation !== 'shared') await onDatabase(context, to, (client) => buildStructure(client, to, structure));
    await onBoth(context, { from, to }, async (source, target) =>
      copyVersions(context, { from, to }, target, await readVersions(source, from)),
    );
  });
  return { structure: fingerprint(structure) };
}

/** Shared tables are there already, with other tenants' rows: they must fit, and take rows as they come. */
async function checkShared(source: Client, target: Client, move: Move): Promise<void> {
  await refuseMisfits(source, target, move);
  const circle = inCircles(await tablesOf(source, target, move));
  if (circle.length > 0) throw notMovable(`Foreign keys of ${circle.join(', ')} lead in a circle: make one of them deferrable.`);
}

/** All tables of the source are among the shared ones, with the same columns. @throws DomainError `placement.not_movable` */
async function refuseMisfits(source: Client, target: Client, { from, to }: Move): Promise<void> {
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
}

/** Two sessions for writing to the target, while the tenant can't leave the source: whoever comes late writes nothing. */
const onBothHere = <T>(context: PlaceContext, move: Move, work: Parameters<typeof onBoth<T>>[2]): Promise<T> =>
  whileHere(context, move.from, async () => {
    await upgradePlace(context, move.to);
    return onBoth(context, move, work);
  });

/** Notes changes from now on, and copies everything as of one instant. */
export async function copy(context: PlaceContext, move: Move): Promise<{ rows: number }> {
  return onBothHere(context, move, async (source, target) => {
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
        for (const table of tables)
          rows += await copyTable(source, { client: target, tenantId: to.tenantId, schema: to.appSchema }, from.appSchema, table);
        return rows;
      }),
    { snapshot: true },
  );

/**
 * Takes over what has changed, pass by pass, until little is left; then copies the platform's rows of the tenant with their checkpoints:
 * whoever projects into them goes on from there.
 */
export async function catchUp(context: PlaceContext, move: Move): Promise<{ passes: number; rows: number }> {
  const { to } = move;
  return onBothHere(context, move, async (source, target) => {
    const tables = await tablesOf(source, target, move);
    const passes = await catchUpWith(source, target, move, tables);
    const rows = await copyPlatformRows(source, target, move);
    // So that what is written at the target can be taken back to the source.
    await beginNotes(target, to, tables);
    return { passes, rows };
  });
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
        for (const table of tables)
          rows += await copyTable(source, { client: target, tenantId: to.tenantId, schema: to.schema }, from.schema, table);
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

/** Whether the gate could be closed now: nobody stays in for long; and whoever is refused from now on finds the target. @throws Error 55P03 */
export async function fence(context: PlaceContext, move: Move): Promise<void> {
  await announceTarget(context, move);
  await onDatabase(context, move.from, async (keeper) => {
    await closeGate(keeper, move.from, trialMs);
    await letGo(keeper);
  });
}

/**
 * Compares everything as of one instant, while the tenant is in use. What changes afterwards is compared row by row when it is taken over,
 * so that both are the same at the end without another look.
 */
export async function verify(context: PlaceContext, move: Move): Promise<{ tables: number; rows: number }> {
  return onBothHere(context, move, async (source, target) => {
    const tables = await tablesOf(source, target, move);
    await catchUpWith(source, target, move, tables);
    let rows = 0;
    await pass(source, target, move, tables, {
      atTarget: async () => {
        rows = await compareAll(source, target, move, tables);
      },
    });
    return { tables: tables.length, rows };
  });
}

/** The target is the tenant's place from now on. @throws DomainError `placement.not_caught_up`, `placement.not_movable` */
export async function switchOver(
  context: PlaceContext,
  move: Move,
  prepared: { structure: string },
  options: SwitchOptions = {},
): Promise<Switched> {
  if (await settle(context, move)) return { closedMs: null, attempts: [] };
  await upgradePlace(context, move.to);
  await announceTarget(context, move);
  return cross(context, move, prepared.structure, options);
}

/** What can wait until everybody is in again. */
export const finish = (context: PlaceContext, { to }: Move): Promise<void> =>
  onDatabase(context, to, (client) => validateForeignKeys(client, to));

/** The tenant stays: nobody looks for the target any more, and a gate that was closed for good is opened. */
export async function reopen(context: PlaceContext, move: Move): Promise<void> {
  if (await settle(context, move)) return;
  await announce(context, move.from, null);
  await onDatabase(context, move.from, (client) => openGate(client, move.from));
}

/**
 * The tenant lives at the source again, with what was written at the target meanwhile; nothing to do where it never left. Its placement is
 * a new one: whoever remembers either of the old is refused.
 */
export async function switchBack(context: PlaceContext, { from, to }: Move, options: SwitchOptions = {}): Promise<Placement | null> {
  if (!(await settle(context, { from, to }))) return null;
  const back: Placement = { ...from, generation: to.generation + 1 };
  const reversed: Move = { from: to, to: back };
  if (!(await settle(context, reversed))) {
    const prepared = await onBothHere(context, reversed, async (source, target) => {
      const structure = await readyToGoBack(source, target, reversed, from);
      return { structure };
    });
    await verify(context, reversed);
    await announceTarget(context, reversed);
    await cross(context, reversed, prepared.structure, options);
  }
  await finish(context, reversed);
  return back;
}

/** Keeps the notes from growing while the source is kept. */
export const thin = (context: PlaceContext, { to }: Move): Promise<unknown> =>
  onDatabase(context, to, async (client) => ((await hasNotes(client, to)) ? thinNotes(client, to) : null));

/**
 * The old place takes rows again. Where the product's schema has changed since (a campaign), it is made anew and everything is copied, as in
 * a move there; a copy that was not finished is known by the notes, which go before it begins. Gives what the structure is.
 */
async function readyToGoBack(source: Client, target: Client, reversed: Move, before: Placement): Promise<string> {
  const { from, to } = reversed;
  const structure = await readStructure(source, from);
  if (to.isolation === 'shared') {
    // Until a campaign has taken the shared tables as far, the tenant stays where it is: a column would be left behind.
    await checkShared(source, target, reversed);
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
  await settle(context, { from, to });
  if ((await generationOf(context, from.tenantId)) === to.generation) throw livesThere(to);
  await onDatabase(context, from, (client) => endNotes(client, from));
  if (to.isolation !== 'isolated') await onDatabase(context, to, (client) => endNotes(client, to));
  await removePlace(context, to, from);
}
