import { setTimeout as sleep } from 'node:timers/promises';
import { tenantKey } from '@tenantry/contracts/ids';
import type { Client } from 'pg';
import type { Placement } from '../placement.js';
import { identifier, literal, sqlState, uuidLiteral } from '../sql.js';
import { asOwner, inSchema } from './side.js';
import type { MovedTable } from './tables.js';

/**
 * While a tenant is moved, triggers on its product's tables note the primary keys that change, in the same transaction as the change.
 * Whoever reads rows and notes in one snapshot misses nothing. A table without a primary key is noted as a whole.
 */
const nameOf = ({ tenantId, generation }: Placement) => `${tenantKey(tenantId)}_${generation}`;
const notesOf = (place: Placement) => inSchema('tenancy', `changes_${nameOf(place)}`);
const functionOf = (place: Placement) => inSchema('tenancy', `note_${nameOf(place)}`);
/** With the whole key: many tenants' triggers are on the same shared tables, and a new one takes the place of another of its name. */
const triggerOf = (place: Placement, suffix: string) =>
  identifier(`tenantry_moving_${place.generation}_${tenantKey(place.tenantId)}_${suffix}`);

const makeNotes = (place: Placement) => `
  CREATE TABLE IF NOT EXISTS ${notesOf(place)} (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, key jsonb);
  CREATE OR REPLACE FUNCTION ${functionOf(place)}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $note$
  DECLARE
    columns text[] := TG_ARGV[1:TG_NARGS - 1];
    before jsonb;
    after jsonb;
  BEGIN
    IF TG_LEVEL = 'STATEMENT' THEN
      INSERT INTO ${notesOf(place)} (name) VALUES (TG_ARGV[0]);
      RETURN NULL;
    END IF;
    IF TG_OP <> 'INSERT' THEN
      SELECT jsonb_object_agg(c, to_jsonb(OLD) -> c) INTO before FROM unnest(columns) c;
      INSERT INTO ${notesOf(place)} (name, key) VALUES (TG_ARGV[0], before);
    END IF;
    IF TG_OP <> 'DELETE' THEN
      SELECT jsonb_object_agg(c, to_jsonb(NEW) -> c) INTO after FROM unnest(columns) c;
      IF after IS DISTINCT FROM before THEN
        INSERT INTO ${notesOf(place)} (name, key) VALUES (TG_ARGV[0], after);
      END IF;
    END IF;
    RETURN NULL;
  END
  $note$;
  REVOKE ALL ON FUNCTION ${functionOf(place)}() FROM PUBLIC;`;

function makeTriggers(place: Placement, { name, key }: MovedTable): string {
  const on = inSchema(place.appSchema, name);
  const call = (args: readonly string[]) => `EXECUTE FUNCTION ${functionOf(place)}(${args.map(literal).join(', ')});`;
  const make = (suffix: string, event: string, level: string, args: readonly string[]) =>
    `CREATE OR REPLACE TRIGGER ${triggerOf(place, suffix)} AFTER ${event} ON ${on} ${level} ${call(args)}`;
  const truncated = make('t', 'TRUNCATE', 'FOR EACH STATEMENT', [name]);
  if (key.length === 0) return `${make('a', 'INSERT OR UPDATE OR DELETE', 'FOR EACH STATEMENT', [name])} ${truncated}`;
  // Of shared tables only this tenant's rows concern the move. NEW is not known to a deletion, OLD not to an insertion.
  const isShared = place.isolation === 'shared';
  const mine = (row: 'OLD' | 'NEW') =>
    isShared ? `FOR EACH ROW WHEN (${row}.tenant_id = ${uuidLiteral(place.tenantId)})` : 'FOR EACH ROW';
  return [
    make('i', 'INSERT', mine('NEW'), [name, ...key]),
    make('u', 'UPDATE', mine('OLD'), [name, ...key]),
    make('d', 'DELETE', mine('OLD'), [name, ...key]),
    // By a campaign: of shared tables it takes this tenant's rows too.
    truncated,
  ].join(' ');
}

const lockTimeoutMs = 250;
const lockTries = 60;

/** A trigger waits until who writes to its table has ended, and everybody waits behind it: shortly, and then again a moment later. */
async function patiently<T>(work: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await work();
    } catch (error) {
      if (sqlState(error) !== '55P03' || tries === lockTries) throw error;
      await sleep(100 + Math.random() * 200);
    }
  }
}

/** From the return of this on every change is noted. */
export async function beginNotes(client: Client, place: Placement, tables: readonly MovedTable[]): Promise<void> {
  await asOwner(client, place, () => client.query(makeNotes(place)));
  for (const table of tables)
    await patiently(() => asOwner(client, place, () => client.query(makeTriggers(place, table)), { lockTimeoutMs }));
}

/** Tables of which nothing is noted: who made one anew has taken its triggers away with the old one. */
export async function unnoted(client: Client, place: Placement, tables: readonly MovedTable[]): Promise<string[]> {
  const { rows } = await asOwner(client, place, () =>
    client.query<{ name: string }>(
      `SELECT t.name FROM unnest($1::text[]) AS t (name) WHERE NOT EXISTS (
         SELECT FROM pg_trigger g JOIN pg_proc p ON p.oid = g.tgfoid
         WHERE g.tgrelid = to_regclass(format('%I.%I', $2::text, t.name)) AND p.pronamespace = 'tenancy'::regnamespace AND p.proname = $3)`,
      [tables.map(({ name }) => name), place.appSchema, `note_${nameOf(place)}`],
    ),
  );
  return rows.map(({ name }) => name);
}

/** Whether changes there are noted, or were until the end of the notes began. */
export async function hasNotes(client: Client, place: Placement): Promise<boolean> {
  const { rows } = await asOwner(client, place, () =>
    client.query<{ there: boolean }>('SELECT to_regclass($1) IS NOT NULL AS there', [notesOf(place)]),
  );
  return rows[0]!.there;
}

/** Of this place alone. Triggers are found by what they run: an earlier release gave them other names. */
export const endNotes = (client: Client, place: Placement): Promise<void> =>
  end(client, place.tenantId, { tables: `changes_${nameOf(place)}`, functions: `note_${nameOf(place)}` }, (name, is) => `${name} = ${is}`);

/** The names of what moves of a tenant have noted, and with what, whichever place it was for. */
export const notesOfTenant = (tenantId: string) => ({
  tables: `changes_${tenantKey(tenantId)}_`,
  functions: `note_${tenantKey(tenantId)}_`,
});

/** Of whichever moves there were, also where nobody knows any more which. */
export const endAllNotes = (client: Client, tenantId: string): Promise<void> =>
  end(client, tenantId, notesOfTenant(tenantId), (name, is) => `starts_with(${name}, ${is})`);

async function end(
  client: Client,
  tenantId: string,
  { tables, functions }: ReturnType<typeof notesOfTenant>,
  named: (name: string, is: string) => string,
): Promise<void> {
  const work = <T>(run: () => Promise<T>) => patiently(() => asOwner(client, { tenantId }, run, { lockTimeoutMs }));
  const found = await work(() =>
    client.query<{ drop: string; last: boolean }>(
      `SELECT format('DROP TRIGGER IF EXISTS %I ON %s', t.tgname, t.tgrelid::regclass) AS drop, false AS last
         FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
         WHERE p.pronamespace = 'tenancy'::regnamespace AND ${named('p.proname', '$1')}
       UNION ALL SELECT format('DROP FUNCTION IF EXISTS %s', p.oid::regprocedure), true FROM pg_proc p
         WHERE p.pronamespace = 'tenancy'::regnamespace AND ${named('p.proname', '$1')}
       UNION ALL SELECT format('DROP TABLE IF EXISTS %s', c.oid::regclass), true FROM pg_class c
         WHERE c.relnamespace = 'tenancy'::regnamespace AND c.relkind = 'r' AND ${named('c.relname', '$2')}
       ORDER BY last`,
      [functions, tables],
    ),
  );
  for (const { drop } of found.rows) await work(() => client.query(drop));
}

export interface Notes {
  ids: string[];
  /** Tables to be copied as a whole. */
  whole: Set<string>;
  /** By table, as JSON texts. */
  keys: Map<string, string[]>;
}

/** What the transaction sees of them, the first `limit`. */
export async function readNotes(client: Client, place: Placement, limit: number): Promise<Notes> {
  const { rows } = await client.query<{ name: string; keys: string[] | null; whole: boolean; ids: string[] }>(
    `SELECT name, array_agg(DISTINCT key::text) FILTER (WHERE key IS NOT NULL) AS keys, bool_or(key IS NULL) AS whole, array_agg(id::text) AS ids
     FROM (SELECT id, name, key FROM ${notesOf(place)} ORDER BY id LIMIT ${limit}) n GROUP BY name`,
  );
  return {
    ids: rows.flatMap(({ ids }) => ids),
    whole: new Set(rows.filter(({ whole }) => whole).map(({ name }) => name)),
    keys: new Map(rows.filter(({ whole, keys }) => !whole && keys).map(({ name, keys }) => [name, keys ?? []])),
  };
}

/** Those that were read: others of the same rows may have come since. */
export const forgetNotes = (client: Client, place: Placement, ids: readonly string[]) =>
  asOwner(client, place, () => client.query(`DELETE FROM ${notesOf(place)} WHERE id = ANY($1::bigint[])`, [ids]));

export const forgetNotesSql = (place: Placement) => `DELETE FROM ${notesOf(place)}`;

/** Of several notes of one row the last says it all: a place that is noted for long has no more of them than rows that changed. */
export const thinNotes = (client: Client, place: Placement) =>
  asOwner(client, place, () =>
    client.query(
      `DELETE FROM ${notesOf(place)} n USING (
         SELECT id, row_number() OVER (PARTITION BY name, key ORDER BY id DESC) AS nth FROM ${notesOf(place)}
       ) each WHERE each.id = n.id AND each.nth > 1`,
    ),
  );
