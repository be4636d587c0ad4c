import { createHash } from 'node:crypto';
import type { ClientBase, Pool } from 'pg';

/** What a schema of the product holds: lines of description by object, in bytewise order. */
export type Objects = Record<string, string[]>;

/** Schema names are taken out of definitions, tenants' roles and ids are replaced, so that schemas of several tenants compare equal. */
const lines = `
  WITH space AS (SELECT oid, nspname::text AS name FROM pg_namespace WHERE nspname = ANY ($1)),
  rel AS (SELECT c.oid, c.relname::text AS rel, c.relkind, c.relrowsecurity, c.relforcerowsecurity, c.reloptions, c.relacl, c.relowner, space.name
          FROM pg_class c JOIN space ON space.oid = c.relnamespace),
  tab AS (SELECT *, 'table ' || rel AS object FROM rel WHERE relkind IN ('r', 'p')),
  raw (name, object, line) AS (
    SELECT name, object, concat_ws(' ', CASE relkind WHEN 'p' THEN 'partitioned' END, 'row security', relrowsecurity, relforcerowsecurity, reloptions::text) FROM tab
    UNION ALL
    SELECT name, object, concat_ws(' ', 'column', a.attname, format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN 'NOT NULL' END,
        'DEFAULT ' || pg_get_expr(d.adbin, d.adrelid), nullif(a.attidentity::text, ''), nullif(a.attgenerated::text, ''),
        CASE WHEN a.attcollation <> t.typcollation THEN a.attcollation::regcollation::text END)
      FROM tab JOIN pg_attribute a ON a.attrelid = tab.oid AND a.attnum > 0 AND NOT a.attisdropped JOIN pg_type t ON t.oid = a.atttypid
      LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    UNION ALL
    SELECT name, object, concat_ws(' ', 'constraint', k.conname, pg_get_constraintdef(k.oid), CASE WHEN NOT k.convalidated THEN 'NOT VALID' END)
      FROM tab JOIN pg_constraint k ON k.conrelid = tab.oid AND k.contype <> 'n'
    UNION ALL
    SELECT name, object, concat_ws(' ', pg_get_indexdef(x.indexrelid), CASE WHEN NOT x.indisvalid THEN 'INVALID' END)
      FROM tab JOIN pg_index x ON x.indrelid = tab.oid WHERE NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = x.indexrelid AND k.conrelid = tab.oid)
    UNION ALL
    SELECT name, object, concat_ws(' ', 'policy', p.polname, p.polcmd::text, p.polpermissive,
        regexp_replace(pg_get_expr(p.polqual, p.polrelid), '[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}', '$tenant'), pg_get_expr(p.polwithcheck, p.polrelid))
      FROM tab JOIN pg_policy p ON p.polrelid = tab.oid
    UNION ALL
    SELECT name, object, concat_ws(' ', pg_get_triggerdef(t.oid), t.tgenabled::text) FROM tab JOIN pg_trigger t ON t.tgrelid = tab.oid AND NOT t.tgisinternal
    UNION ALL
    SELECT name, CASE relkind WHEN 'S' THEN 'sequence ' WHEN 'r' THEN 'table ' WHEN 'p' THEN 'table ' ELSE 'view ' END || rel,
        concat_ws(' ', 'granted to', CASE WHEN r.rolname IN ('tenantry_shared', 'tenantry_shared_' || current_database(), 't_' || substr(name, 5)) THEN '$role' ELSE coalesce(r.rolname::text, 'PUBLIC') END,
          string_agg(e.privilege_type, ',' ORDER BY e.privilege_type))
      FROM rel, aclexplode(rel.relacl) e LEFT JOIN pg_roles r ON r.oid = e.grantee WHERE e.grantee <> rel.relowner AND relkind IN ('r', 'p', 'S', 'v', 'm') GROUP BY 1, 2, r.rolname
    UNION ALL SELECT name, 'view ' || rel, concat_ws(' ', relkind::text, reloptions::text, md5(replace(pg_get_viewdef(oid), name || '.', ''))) FROM rel WHERE relkind IN ('v', 'm')
    UNION ALL SELECT name, 'sequence ' || rel, concat_ws(' ', format_type(s.seqtypid, NULL), s.seqstart, s.seqincrement, s.seqmin, s.seqmax, s.seqcycle)
      FROM rel JOIN pg_sequence s ON s.seqrelid = rel.oid
    UNION ALL SELECT name, 'function ' || p.proname || '(' || replace(pg_get_function_identity_arguments(p.oid), name || '.', '') || ')',
        md5(replace(pg_get_functiondef(p.oid), name || '.', '')) FROM space JOIN pg_proc p ON p.pronamespace = space.oid AND p.prokind IN ('f', 'p')
    UNION ALL SELECT name, 'type ' || t.typname, concat_ws(' ', t.typtype::text,
        (SELECT string_agg(e.enumlabel, ',' ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid),
        (SELECT string_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod), ',' ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped),
        CASE WHEN t.typtype = 'd' THEN format_type(t.typbasetype, t.typtypmod) END,
        (SELECT string_agg(pg_get_constraintdef(k.oid), ' ' ORDER BY k.conname) FROM pg_constraint k WHERE k.contypid = t.oid))
      FROM space JOIN pg_type t ON t.typnamespace = space.oid AND (t.typtype IN ('e', 'd', 'r') OR t.typtype = 'c' AND EXISTS (SELECT FROM pg_class c WHERE c.oid = t.typrelid AND c.relkind = 'c'))
    UNION ALL SELECT name, 'statistics ' || s.stxname, pg_get_statisticsobjdef_columns(s.oid) FROM space JOIN pg_statistic_ext s ON s.stxnamespace = space.oid
  ),
  clean AS (SELECT name, object, replace(line, name || '.', '') AS line FROM raw)`;

/** Whole descriptions, by schema; one query. Meant for few schemas. */
export async function objectsOf(client: ClientBase | Pool, schemas: readonly string[]): Promise<Map<string, Objects>> {
  const { rows } = await client.query<{ name: string; object: string; lines: string[] }>(
    `${lines} SELECT name, object, array_agg(line ORDER BY line COLLATE "C") AS lines FROM clean GROUP BY name, object`,
    [schemas],
  );
  return bySchema(schemas, rows, ({ lines }) => lines);
}

/** One hash per object, by schema; one query, for many schemas. */
export async function printsOf(client: ClientBase | Pool, schemas: readonly string[]): Promise<Map<string, Record<string, string>>> {
  const { rows } = await client.query<{ name: string; object: string; print: string }>(
    `${lines} SELECT name, object, md5(string_agg(line, E'\\n' ORDER BY line COLLATE "C")) AS print FROM clean GROUP BY name, object`,
    [schemas],
  );
  return bySchema(schemas, rows, ({ print }) => print);
}

/** The same hashes of known descriptions. */
export const printsFrom = (objects: Objects): Record<string, string> =>
  Object.fromEntries(Object.entries(objects).map(([object, lines]) => [object, createHash('md5').update(lines.join('\n')).digest('hex')]));

function bySchema<R extends { name: string; object: string }, V>(schemas: readonly string[], rows: R[], value: (row: R) => V) {
  const found = new Map(schemas.map((schema) => [schema, {} as Record<string, V>]));
  for (const row of rows) found.get(row.name)![row.object] = value(row);
  return found;
}

/** What differs, one line each. */
export function objectDifferences(expected: Objects, found: Objects): string[] {
  return Object.keys({ ...expected, ...found })
    .sort()
    .flatMap((object) => {
      const [wanted, got] = [expected[object], found[object]];
      if (!got) return [`missing: ${object}`];
      if (!wanted) return [`unexpected: ${object}`];
      return [
        ...wanted.filter((line) => !got.includes(line)).map((line) => `${object}: missing: ${line}`),
        ...got.filter((line) => !wanted.includes(line)).map((line) => `${object}: unexpected: ${line}`),
      ];
    });
}
