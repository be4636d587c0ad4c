import { createHash } from 'node:crypto';
import { DomainError } from '@tenantry/contracts/errors';
import type { Client } from 'pg';
import { readCatalogue, type Table } from '../catalogue.js';
import { renderColumn } from '../compile.js';
import { APP_OWNER } from '../names.js';
import type { Placement } from '../placement.js';
import { identifier, literal, sqlState } from '../sql.js';
import { asOwner } from './side.js';

/** What a schema of the product's holds, as statements on unqualified names that make it again elsewhere. */
export interface Structure {
  /** In no order that matters: what needs another is tried again after it. */
  statements: string[];
  /** Added once the rows are there: they would refuse them in between. */
  foreignKeys: { table: string; name: string; definition: string }[];
  /** The product's own, off until rows are copied; `state` is how they were switched on, as `ALTER TABLE` says it. */
  triggers: { table: string; name: string; state: string }[];
  tables: string[];
}

const refusal = (what: string) =>
  new DomainError('placement.not_movable', { detail: `${what}: the tenant can't be moved while its product's schema holds that.` });

/** As it is now, read under the schema's own search path, so that names lose it. @throws DomainError `placement.not_movable` */
export async function readStructure(client: Client, place: Placement): Promise<Structure> {
  return asOwner(client, place, () => structureOf(client, place), { snapshot: true, path: place.appSchema });
}

async function structureOf(client: Client, { appSchema, role }: Placement): Promise<Structure> {
  const { tables } = await readCatalogue(client, appSchema, role);
  const { rows } = await client.query<{ kind: string; text: string }>(objects, [appSchema, role]);
  const alien = rows.find(({ kind }) => kind === 'alien');
  if (alien) throw refusal(alien.text);
  const qualified = `${identifier(appSchema)}.`;
  const bare = appSchema === appSchema.toLowerCase() ? `${appSchema}.` : qualified;
  /** Some definitions name their own schema whatever the search path is: in their head only. */
  const unqualified = (text: string) => {
    const head = text.slice(0, text.indexOf('(') < 0 ? text.length : text.indexOf('('));
    return head.replace(qualified, '').replace(bare, '') + text.slice(head.length);
  };
  const identities = new Map(rows.filter(({ kind }) => kind === 'identity').map(({ text }) => JSON.parse(text) as [string, string]));
  return {
    statements: [
      ...rows.filter(({ kind }) => kind === 'statement').map(({ text }) => unqualified(text)),
      ...tables.flatMap((table) => renderTable(table, identities)),
      ...rows.filter(({ kind }) => kind === 'after').map(({ text }) => text),
    ],
    foreignKeys: tables.flatMap(({ name: table, constraints }) =>
      constraints.filter(({ kind }) => kind === 'f').map(({ name, definition }) => ({ table, name, definition })),
    ),
    triggers: rows.filter(({ kind }) => kind === 'trigger').map(({ text }) => JSON.parse(text) as Structure['triggers'][number]),
    tables: tables.map(({ name }) => name),
  };
}

/** Changes whenever the schema does. */
export const fingerprint = ({ statements, foreignKeys, triggers }: Structure): string => {
  const sorted = (all: readonly object[]) => all.map((one) => JSON.stringify(one)).sort();
  // How most are, and were when this was not looked at yet.
  const unusual = triggers.filter(({ state }) => state !== 'ENABLE');
  return createHash('sha256')
    .update(JSON.stringify([[...statements].sort(), sorted(foreignKeys), ...(unusual.length > 0 ? [sorted(unusual)] : [])]))
    .digest('hex');
};

function renderTable(table: Table, identities: ReadonlyMap<string, string>): string[] {
  const name = identifier(table.name);
  const lines = [
    ...table.columns.map((column) => {
      const options = identities.get(`${table.name}.${column.name}`);
      return options ? `${identifier(column.name)} ${column.type} ${options}` : renderColumn(column);
    }),
    ...table.constraints
      .filter(({ kind }) => 'puxc'.includes(kind))
      .map((constraint) => `CONSTRAINT ${identifier(constraint.name)} ${constraint.definition}`),
  ];
  const options = table.options ? ` WITH (${table.options.join(', ')})` : '';
  return [
    `CREATE TABLE ${name} (${lines.join(', ')})${options}`,
    ...table.indexes.map(({ definition }) => definition),
    ...(table.rowSecurity ? [`ALTER TABLE ${name} ENABLE ROW LEVEL SECURITY`] : []),
    ...(table.forced ? [`ALTER TABLE ${name} FORCE ROW LEVEL SECURITY`] : []),
  ];
}

/**
 * Makes the schema again from nothing: what an earlier attempt left goes first. Triggers of the product stay off until rows are copied.
 * Statements are tried until none is left; what needs a thing that isn't there yet succeeds in a later round.
 */
export async function buildStructure(client: Client, place: Placement, { statements, tables }: Structure): Promise<void> {
  const schema = identifier(place.appSchema);
  await asOwner(
    client,
    place,
    async () => {
      await client.query(
        `DROP SCHEMA IF EXISTS ${schema} CASCADE; CREATE SCHEMA ${schema}; GRANT USAGE ON SCHEMA ${schema} TO ${identifier(place.role)};
         GRANT USAGE, CREATE ON SCHEMA ${schema} TO ${APP_OWNER}; SET LOCAL check_function_bodies = off`,
      );
      let left = statements.map((statement) => statement.replaceAll('"$role"', identifier(place.role)).replaceAll('"$schema"', schema));
      for (let before = Number.POSITIVE_INFINITY; left.length > 0; ) {
        if (left.length === before) throw await reasonOf(client, place, left[0]!);
        before = left.length;
        left = await attempt(client, place, left);
      }
      const disable = tables.map((table) => `ALTER TABLE ${schema}.${identifier(table)} DISABLE TRIGGER USER;`);
      await client.query(`${disable.join(' ')} REVOKE CREATE ON SCHEMA ${schema} FROM ${APP_OWNER}`);
    },
    { path: place.appSchema },
  );
}

/** As the owner of the product's tables: what a statement computes may be a function of the product's. The schema is not its. */
const make = (client: Client, { appSchema, tenantId }: Placement, statement: string) =>
  statement.startsWith('COMMENT ON SCHEMA ')
    ? client.query(statement)
    : client.query('SELECT tenancy.run_app($1, $2, ARRAY[$3], NULL, true)', [appSchema, tenantId, statement]);

/** Gives those that failed. */
async function attempt(client: Client, place: Placement, statements: readonly string[]): Promise<string[]> {
  const failed: string[] = [];
  for (const statement of statements) {
    await client.query('SAVEPOINT one');
    try {
      await make(client, place, statement);
      await client.query('RELEASE one');
    } catch {
      // Told by reasonOf where it still fails in the last round.
      await client.query('ROLLBACK TO one');
      failed.push(statement);
    }
  }
  return failed;
}

async function reasonOf(client: Client, place: Placement, statement: string): Promise<Error> {
  try {
    await make(client, place, statement);
  } catch (error) {
    return error as Error;
  }
  return new Error('A statement of the structure failed and then did not');
}

/** As `buildStructure` leaves it: a closed place that rows are put into again. The notes' own triggers stay on. */
export async function loosenStructure(client: Client, place: Placement): Promise<void> {
  await asOwner(client, place, async () => {
    const { rows } = await client.query<{ change: string }>(
      `SELECT format('ALTER TABLE %I.%I DROP CONSTRAINT %I', $1::text, c.relname, k.conname) AS change FROM pg_class c JOIN pg_constraint k
         ON k.conrelid = c.oid AND k.contype = 'f' WHERE c.relnamespace = to_regnamespace(quote_ident($1)) AND c.relkind = 'r'
       UNION ALL SELECT format('ALTER TABLE %I.%I DISABLE TRIGGER %I', $1::text, c.relname, t.tgname) FROM pg_class c JOIN pg_trigger t
         ON t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgenabled <> 'D' AND t.tgname NOT LIKE 'tenantry\\_moving\\_%'
         WHERE c.relnamespace = to_regnamespace(quote_ident($1)) AND c.relkind = 'r'`,
      [place.appSchema],
    );
    if (rows.length > 0) await client.query(rows.map(({ change }) => change).join('; '));
  });
}

/**
 * What makes the tables as they were, once the rows are there: foreign keys without a look at the rows, which would take its time, and the
 * product's own triggers. To be run as the owner with the schema as search path.
 */
export function finishSql({ foreignKeys, triggers }: Structure): string {
  const statements = [
    ...foreignKeys.map(
      ({ table, name, definition }) =>
        `ALTER TABLE ${identifier(table)} ADD CONSTRAINT ${identifier(name)} ${definition}${/ NOT (VALID|ENFORCED)$/.test(definition) ? '' : ' NOT VALID'};`,
    ),
    ...triggers.map(({ table, name, state }) => `ALTER TABLE ${identifier(table)} ${state} TRIGGER ${identifier(name)};`),
  ];
  // What waits for the end of the transaction would be in the way of a change of the table.
  return statements.length > 0 ? `SET CONSTRAINTS ALL IMMEDIATE; ${statements.join(' ')}` : '';
}

/**
 * Has the rows looked at, while others write. A key that rows break was never held to them where they come from either (`NOT VALID`): it
 * stays so, and holds for what is written.
 */
export async function validateForeignKeys(client: Client, place: Placement): Promise<void> {
  const { rows } = await client.query<{ table: string; name: string }>(
    `SELECT c.relname AS "table", k.conname AS name FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
     WHERE c.relnamespace = to_regnamespace(quote_ident($1)) AND k.contype = 'f' AND NOT k.convalidated AND k.conenforced AND k.conparentid = 0`,
    [place.appSchema],
  );
  for (const { table, name } of rows)
    await asOwner(client, place, () => client.query(`ALTER TABLE ${identifier(table)} VALIDATE CONSTRAINT ${identifier(name)}`), {
      path: place.appSchema,
    }).catch((error: unknown) => {
      if (sqlState(error) !== '23503') throw error;
    });
}

/** Where the sequences of a schema are. */
export const sequencesSql = (schema: string) =>
  `SELECT sequencename AS name, last_value::text AS last FROM pg_sequences WHERE schemaname = ${literal(schema)} AND last_value IS NOT NULL`;
export interface Sequence {
  name: string;
  last: string;
}

/** Sequences go on where they were; of a schema that others use too, at least there. */
export const setSequencesSql = (sequences: readonly Sequence[], to: Placement) =>
  sequences.length === 0
    ? ''
    : `SELECT setval(format('%I.%I', s.schemaname, s.sequencename), greatest(g.last, ${to.isolation === 'shared' ? 's.last_value' : 'NULL'}))
       FROM json_to_recordset(${literal(JSON.stringify(sequences))}::json) AS g(name text, last bigint)
       JOIN pg_sequences s ON s.schemaname = ${literal(to.appSchema)} AND s.sequencename = g.name;`;

/**
 * Changes whenever something in the schema is altered, and is quickly read: which rows of the catalogue there are, and who wrote them last.
 * Statistics are written in place and change nothing.
 */
export const stampSql = (schema: string) => {
  const space = `to_regnamespace(quote_ident(${literal(schema)}))`;
  const mine = `(SELECT c.oid FROM pg_class c WHERE c.relnamespace = ${space})`;
  const parts: readonly (readonly [string, string])[] = [
    ['pg_class', `relnamespace = ${space}`],
    ['pg_proc', `pronamespace = ${space}`],
    ['pg_type', `typnamespace = ${space}`],
    ['pg_constraint', `connamespace = ${space}`],
    ['pg_statistic_ext', `stxnamespace = ${space}`],
    ['pg_trigger', `tgrelid IN ${mine} AND NOT tgisinternal`],
    ['pg_policy', `polrelid IN ${mine}`],
    ['pg_attrdef', `adrelid IN ${mine}`],
    ['pg_enum', `enumtypid IN (SELECT t.oid FROM pg_type t WHERE t.typnamespace = ${space})`],
    ['pg_rewrite', `ev_class IN ${mine}`],
  ];
  return `SELECT md5(coalesce(string_agg(part, ',' ORDER BY part), '')) AS stamp FROM (
    ${parts.map(([name, where]) => `SELECT '${name} ' || oid || ' ' || xmin AS part FROM ${name} WHERE ${where}`).join(' UNION ALL ')}
    UNION ALL SELECT 'column ' || attrelid || ' ' || attnum || ' ' || xmin FROM pg_attribute WHERE attrelid IN ${mine} AND attnum > 0
    UNION ALL SELECT 'sequence ' || seqrelid || ' ' || xmin FROM pg_sequence WHERE seqrelid IN ${mine}) parts`;
};

/**
 * Everything but tables with their columns, constraints and indexes, each in one order whatever the plan is: another would look like a change.
 * `statement` goes before them, `after` behind; `identity` is of a column.
 * `$2` is the role whose rights are carried over; in statements it is written "$role".
 */
const objects = `
WITH space AS (SELECT oid FROM pg_namespace WHERE nspname = $1),
mine AS (SELECT c.* FROM pg_class c, space WHERE c.relnamespace = space.oid),
own AS (SELECT d.objid FROM pg_depend d WHERE d.deptype = 'e')
SELECT 'alien' AS kind, CASE c.relkind WHEN 'm' THEN 'materialized view ' WHEN 'p' THEN 'partitioned table ' WHEN 'f' THEN 'foreign table ' END || c.relname AS text
  FROM mine c WHERE c.relkind IN ('m', 'p', 'f')
UNION ALL SELECT 'alien', 'inheritance of ' || c.relname FROM mine c JOIN pg_inherits i ON i.inhrelid = c.oid WHERE c.relkind = 'r'
UNION ALL SELECT 'alien', 'rule ' || r.rulename FROM pg_rewrite r JOIN mine c ON c.oid = r.ev_class WHERE r.rulename <> '_RETURN'
UNION ALL SELECT 'alien', 'type ' || t.typname FROM pg_type t, space
  WHERE t.typnamespace = space.oid AND t.typtype IN ('r', 'm', 'b') AND t.typcategory <> 'A'
UNION ALL SELECT 'alien', 'check of the domain ' || t.typname || ' by the function ' || p.proname FROM pg_constraint k JOIN pg_type t ON t.oid = k.contypid, space, pg_depend d, pg_proc p
  WHERE t.typnamespace = space.oid AND d.classid = 'pg_constraint'::regclass AND d.objid = k.oid AND d.refclassid = 'pg_proc'::regclass
    AND p.oid = d.refobjid AND p.pronamespace = space.oid
UNION ALL SELECT 'alien', 'aggregate ' || p.proname FROM pg_proc p, space WHERE p.pronamespace = space.oid AND p.prokind IN ('a', 'w')
UNION ALL SELECT 'alien', 'operator ' || o.oprname FROM pg_operator o, space WHERE o.oprnamespace = space.oid
UNION ALL SELECT 'statement', format('CREATE TYPE %I AS ENUM (%s)', t.typname,
    (SELECT string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid))
  FROM pg_type t, space WHERE t.typnamespace = space.oid AND t.typtype = 'e'
UNION ALL SELECT 'statement', format('CREATE TYPE %I AS (%s)', t.typname,
    (SELECT string_agg(format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod)), ', ' ORDER BY a.attnum)
     FROM pg_attribute a WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped))
  FROM pg_type t JOIN mine c ON c.oid = t.typrelid WHERE c.relkind = 'c'
UNION ALL SELECT 'statement', format('CREATE DOMAIN %I AS %s%s%s %s', t.typname, format_type(t.typbasetype, t.typtypmod),
    CASE WHEN t.typdefault IS NOT NULL THEN ' DEFAULT ' || t.typdefault ELSE '' END, CASE WHEN t.typnotnull THEN ' NOT NULL' ELSE '' END,
    coalesce((SELECT string_agg(format('CONSTRAINT %I %s', k.conname, pg_get_constraintdef(k.oid, true)), ' ' ORDER BY k.conname) FROM pg_constraint k
     WHERE k.contypid = t.oid AND k.contype = 'c'), ''))
  FROM pg_type t, space WHERE t.typnamespace = space.oid AND t.typtype = 'd'
UNION ALL SELECT 'statement', format('CREATE SEQUENCE %I AS %s INCREMENT %s MINVALUE %s MAXVALUE %s START %s CACHE %s%s', c.relname,
    format_type(s.seqtypid, NULL), s.seqincrement, s.seqmin, s.seqmax, s.seqstart, s.seqcache, CASE WHEN s.seqcycle THEN ' CYCLE' ELSE '' END)
  FROM mine c JOIN pg_sequence s ON s.seqrelid = c.oid
  WHERE NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'i')
UNION ALL SELECT 'statement', pg_get_functiondef(p.oid) FROM pg_proc p, space
  WHERE p.pronamespace = space.oid AND p.prokind IN ('f', 'p') AND p.oid NOT IN (SELECT objid FROM own)
UNION ALL SELECT 'statement', pg_get_statisticsobjdef(s.oid) FROM pg_statistic_ext s, space WHERE s.stxnamespace = space.oid
UNION ALL SELECT 'statement', format('CREATE VIEW %I%s AS %s', c.relname,
    CASE WHEN c.reloptions IS NULL THEN '' ELSE ' WITH (' || array_to_string(c.reloptions, ', ') || ')' END, pg_get_viewdef(c.oid, true))
  FROM mine c WHERE c.relkind = 'v'
UNION ALL SELECT 'statement', pg_get_triggerdef(t.oid, true) FROM pg_trigger t JOIN mine c ON c.oid = t.tgrelid
  WHERE NOT t.tgisinternal AND t.tgname NOT LIKE 'tenantry\\_moving\\_%'
UNION ALL SELECT 'trigger', json_build_object('table', c.relname, 'name', t.tgname,
    'state', CASE t.tgenabled WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA' WHEN 'A' THEN 'ENABLE ALWAYS' ELSE 'ENABLE' END)::text
  FROM pg_trigger t JOIN mine c ON c.oid = t.tgrelid WHERE NOT t.tgisinternal AND t.tgname NOT LIKE 'tenantry\\_moving\\_%'
UNION ALL SELECT 'statement', format('CREATE POLICY %I ON %I AS %s FOR %s%s%s', p.polname, c.relname,
    CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
    CASE p.polcmd WHEN '*' THEN 'ALL' WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' ELSE 'DELETE' END,
    coalesce(' USING (' || pg_get_expr(p.polqual, p.polrelid) || ')', ''), coalesce(' WITH CHECK (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')', ''))
  FROM pg_policy p JOIN mine c ON c.oid = p.polrelid
UNION ALL SELECT 'identity', json_build_array(c.relname || '.' || a.attname,
    format('GENERATED %s AS IDENTITY (SEQUENCE NAME %I INCREMENT %s MINVALUE %s MAXVALUE %s START %s CACHE %s%s) NOT NULL',
      CASE a.attidentity WHEN 'a' THEN 'ALWAYS' ELSE 'BY DEFAULT' END, q.relname, s.seqincrement, s.seqmin, s.seqmax, s.seqstart, s.seqcache,
      CASE WHEN s.seqcycle THEN ' CYCLE' ELSE '' END))::text
  FROM mine c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attidentity <> '' AND NOT a.attisdropped
  JOIN pg_depend d ON d.refobjid = c.oid AND d.refobjsubid = a.attnum AND d.deptype = 'i' AND d.classid = 'pg_class'::regclass
  JOIN pg_class q ON q.oid = d.objid AND q.relkind = 'S' JOIN pg_sequence s ON s.seqrelid = q.oid
UNION ALL SELECT 'after', format('ALTER SEQUENCE %I OWNED BY %I.%I', q.relname, c.relname, a.attname)
  FROM mine q JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = q.oid AND d.deptype = 'a' AND d.refobjsubid > 0
  JOIN mine c ON c.oid = d.refobjid JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.refobjsubid WHERE q.relkind = 'S'
UNION ALL SELECT 'after', format('GRANT %s ON %s %I TO "$role"', string_agg(e.privilege_type, ', ' ORDER BY e.nth),
    CASE WHEN c.relkind = 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, c.relname)
  FROM mine c CROSS JOIN LATERAL aclexplode(c.relacl) WITH ORDINALITY e (grantor, grantee, privilege_type, is_grantable, nth)
  JOIN pg_roles r ON r.oid = e.grantee AND r.rolname = $2
  WHERE c.relkind IN ('r', 'v', 'S') GROUP BY c.relkind, c.relname
UNION ALL SELECT 'after', format('COMMENT ON SCHEMA %s IS %L', '"$schema"', obj_description(space.oid, 'pg_namespace'))
  FROM space WHERE obj_description(space.oid, 'pg_namespace') IS NOT NULL`;
