import { setTimeout as sleep } from 'node:timers/promises';
import { DomainError } from '@tenantry/contracts/errors';
import type { Client, QueryResult } from 'pg';
import type { PlaceContext } from '../place-context.js';
import type { Placement } from '../placement.js';
import { isControlPlane, opensAhead, sameDatabase } from '../servers.js';
import { identifier, literal, sqlState } from '../sql.js';
import { closeGate, gateGeneration, holdOpen, knock, leaveSql, letGo, OtherGate, openGate } from './gate.js';
import { forgetNotesSql, hasNotes, unnoted } from './notes.js';
import { catchUpWith, pass, TooMuch, tablesOf } from './pass.js';
import { type AppVersion, announce, generationOf, ledgerSql, mirrorVersions, savedSql, savePlaced } from './places.js';
import { type Move, onBoth, onDatabase } from './side.js';
import {
  fingerprint,
  finishSql,
  loosenStructure,
  readStructure,
  type Sequence,
  type Structure,
  sequencesSql,
  setSequencesSql,
  stampSql,
} from './structure.js';
import type { MovedTable } from './tables.js';

export interface SwitchOptions {
  /** A gate that is closed for longer opens by itself, and it is tried again. */
  budgetMs?: number;
  tries?: number;
  /** Called at the moments at which a process may die; behind the closed gate, in between, and after. */
  at?: (moment: 'closed' | 'left' | 'placed') => Promise<void>;
}
interface Attempt {
  closedMs: number;
  why: string;
}
export interface Switched {
  /** For so long nobody came in; null where another process switched, and died before it could say. */
  closedMs: number | null;
  /** Tries at which the gate was opened again. */
  attempts: Attempt[];
}

const defaults = { budgetMs: 400, tries: 12, at: async () => undefined };
/** Behind a closed gate. */
const atMost = { notes: 1_000, rowsWithoutKey: 2_000 };
/** Time to look up where the tenant is on its way to, and to ask for a connection there. */
const knockMs = 40;
const longestRestMs = 8_000;

const changed = () => new DomainError('placement.not_movable', { detail: "The product's schema was changed while it was copied." });

/** Something was altered since the structure was looked at; it is looked at again. */
class Altered extends Error {}

/**
 * Whether the tenant lives at the target. A process that died between the two databases of a switch left the placement behind: it is
 * brought up to what the gate says.
 */
export async function settle(context: PlaceContext, { from, to }: Move): Promise<boolean> {
  const generation = await generationOf(context, from.tenantId);
  if (generation >= to.generation) return true;
  if (isControlPlane(from)) return false;
  if ((await onDatabase(context, from, (client) => gateGeneration(client, from))) < to.generation) return false;
  await savePlaced(context, to);
  return true;
}

/** Whoever is refused at the source from now on finds the target, whose gate is open to those who know it: nobody does, yet. */
export async function announceTarget(context: PlaceContext, { from, to }: Move): Promise<void> {
  await announce(context, from, to);
  if (!sameDatabase(from, to)) await onDatabase(context, to, (client) => openGate(client, to));
}

/**
 * The tenant goes from one place to the other. What is left is taken over behind the closed gate, which is a lock of a transaction: it
 * opens by itself where this process or its connection dies, or takes too long. Where the placements are in the gate's database one commit
 * changes both; elsewhere the gate's commit decides, and the placement follows.
 * @param expected the structure that the target was made with
 * @throws DomainError `placement.not_caught_up` after the last try, with the gate open; `placement.not_movable` where the product's structure has changed
 */
export async function cross(context: PlaceContext, move: Move, expected: string, options: SwitchOptions = {}): Promise<Switched> {
  const { budgetMs, tries, at } = { ...defaults, ...options };
  const attempts: Attempt[] = [];
  return onBoth(context, move, async (source, target) => {
    const tables = await tablesOf(source, target, move);
    for (let tried = 1; ; tried++) {
      const found = await attempt({ context, move, source, target, tables, expected, budgetMs, at }).catch(async (error: unknown) => {
        // Somebody was quicker, or it was this process, whose connection did not live to tell.
        if (error instanceof OtherGate && (await settle(context, move))) return null;
        throw error;
      });
      if (found === null) return { closedMs: null, attempts };
      if (found.switched) return { closedMs: found.closedMs, attempts };
      attempts.push({ closedMs: found.closedMs, why: found.why });
      if (tried === tries)
        throw new DomainError('placement.not_caught_up', {
          detail: `After ${tries} tries everybody would still have waited for more than ${budgetMs} ms: ${found.why}. Try again when less is written, or allow a longer pause.`,
        });
      await sleep(Math.min(longestRestMs, 250 * 2 ** (tried - 1)) * (0.75 + Math.random() / 2));
      if (await settle(context, move)) return { closedMs: null, attempts };
    }
  });
}

interface Trial {
  context: PlaceContext;
  move: Move;
  source: Client;
  target: Client;
  tables: readonly MovedTable[];
  expected: string;
  budgetMs: number;
  at: NonNullable<SwitchOptions['at']>;
}
type Outcome = { switched: true; closedMs: number } | ({ switched: false } & Attempt);

function attempt({ context, move, source, target, tables, expected, budgetMs, at }: Trial): Promise<Outcome> {
  const { from, to } = move;
  return onDatabase(context, from, async (keeper) => {
    if (opensAhead(from, to)) await knock(keeper, from, knockMs);
    try {
      await holdOpen(keeper, from);
    } catch (error) {
      if (sqlState(error) !== '55P03') throw error;
      return { switched: false, closedMs: 0, why: 'somebody else held the gate closed' };
    }
    const { structure, stamp } = await lookAt(source, from);
    if (fingerprint(structure) !== expected || (await unnoted(source, from, tables)).length > 0) throw changed();
    // A try that came far has left the tables as they are to be in use: a deletion of a row would take others along.
    if (to.isolation !== 'shared') await loosenStructure(target, to);
    const isNoted = await hasNotes(target, to);
    await catchUpWith(source, target, move, tables);
    await letGo(keeper);
    const begun = performance.now();
    const closedMs = () => Math.round((performance.now() - begun) * 10) / 10;
    let hasLeft = false;
    let ended: unknown;
    keeper.on('error', (error) => {
      ended = error;
    });
    try {
      await closeGate(keeper, from, budgetMs);
      await at('closed');
      const seen = { stamp: '', versions: [] as AppVersion[], sequences: [] as Sequence[] };
      await pass(source, target, move, tables, {
        atMost,
        atSource: async () => {
          Object.assign(seen, await readLast(source, from));
        },
        atTarget: async () => {
          if (seen.stamp !== stamp) throw new Altered('the schema was altered meanwhile');
          await target.query(lastSql(to, structure, seen, isNoted));
        },
      });
      // The server ends the transaction at the same time; this is for what it would say then.
      if (closedMs() > budgetMs) throw new TooMuch(`what was left took ${closedMs()} ms`);
      await leave(keeper, move);
      hasLeft = true;
      await at('left');
      if (!isControlPlane(from)) await savePlaced(context, to);
      const closed = closedMs();
      await at('placed');
      if (to.isolation !== 'shared') await mirrorVersions(context, to, seen.versions);
      return { switched: true, closedMs: closed };
    } catch (error) {
      await letGo(keeper);
      // A session that was ended while it had nothing to do says why by the event alone.
      const why = hasLeft ? null : (reasonToTryAgain(error) ?? reasonToTryAgain(ended));
      if (why === null) throw error;
      return { switched: false, closedMs: closedMs(), why };
    }
  });
}

/** Null where another try would end the same way, or the switch may have happened. */
function reasonToTryAgain(error: unknown): string | null {
  if (error instanceof TooMuch || error instanceof Altered) return error.message;
  if (error instanceof OtherGate) return null;
  const state = sqlState(error);
  if (state === '55P03') return 'a transaction of the tenant did not end';
  return state === '25P04' ? 'what was left took too long' : null;
}

/** The stamp first: what is altered in between shows later. */
async function lookAt(source: Client, from: Placement): Promise<{ structure: Structure; stamp: string }> {
  const { rows } = await source.query<{ stamp: string }>(stampSql(from.appSchema));
  return { stamp: rows[0]!.stamp, structure: await readStructure(source, from) };
}

/** In one message: everybody waits. */
async function readLast(source: Client, from: Placement): Promise<{ stamp: string; versions: AppVersion[]; sequences: Sequence[] }> {
  const [stamps, versions, sequences] = (await source.query(
    `${stampSql(from.appSchema)}; ${ledgerSql(from.appSchema)}; ${sequencesSql(from.appSchema)}`,
  )) as unknown as [QueryResult<{ stamp: string }>, QueryResult<AppVersion>, QueryResult<Sequence>];
  return { stamp: stamps.rows[0]!.stamp, versions: versions.rows, sequences: sequences.rows };
}

/** What makes the target ready for use, once it has all rows. */
function lastSql(
  to: Placement,
  structure: Structure,
  { versions, sequences }: { versions: readonly AppVersion[]; sequences: readonly Sequence[] },
  isNoted: boolean,
): string {
  const own = to.isolation !== 'shared';
  return [
    own ? `SET LOCAL search_path = ${identifier(to.appSchema)}; ${finishSql(structure)} SET LOCAL search_path = pg_catalog;` : '',
    own && versions.length > 0
      ? `INSERT INTO tenancy.app_ledger (app_schema, blueprint, version, checksum)
         SELECT ${literal(to.appSchema)}, g.* FROM json_to_recordset(${literal(JSON.stringify(versions))}::json)
           AS g(blueprint text, version int, checksum text) ON CONFLICT DO NOTHING;`
      : '',
    setSequencesSql(sequences, to),
    // What the copying itself has noted.
    isNoted ? `${forgetNotesSql(to)};` : '',
    'SELECT',
  ].join(' ');
}

/** @throws Error where the session's time was over; nothing has happened then */
async function leave(keeper: Client, move: Move): Promise<void> {
  const placed = isControlPlane(move.from) ? `${savedSql(move.to)};` : '';
  const results = (await keeper.query(`${leaveSql(move)}; ${placed} COMMIT`)) as unknown as QueryResult[];
  if (results[0]?.rowCount !== 1 || results.at(-1)?.command !== 'COMMIT') throw new Error('The gate was changed behind its lock');
}
