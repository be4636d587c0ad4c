import type { ClientBase } from 'pg';

export interface Column {
  name: string;
  type: string;
  notNull: boolean;
  default: string | null;
  /** `a` or `d` for identity columns, else empty; `generated` likewise `s` or `v`. */
  identity: string;
  generated: string;
  storage: string;
  collation: string | null;
}
export interface Table {
  name: string;
  options: string[] | null;
  columns: Column[];
  /** Primary, unique, check, foreign and exclusion constraints, by name; `references` has a foreign key's columns over there. NOT NULL is in the columns. */
  constraints: { name: string; kind: string; definition: string; columns: string[]; references: string[] | null }[];
  /** Without those that back a constraint. */
  indexes: { name: string; definition: string; unique: boolean; columns: (string | null)[] }[];
  toast: boolean;
  rowSecurity: boolean;
  forced: boolean;
  policies: { name: string; command: string; permissive: boolean; using: string | null; check: string | null }[];
  /** Rights of others than the owner: `role=privileges`, with the tenant's role as `$role`. */
  grants: string[];
}
export interface Catalogue {
  tables: Table[];
  /** What is neither a table nor part of one: views, sequences, functions, triggers, types. */
  other: string[];
}

/** What a schema holds, in one query. Names lose their schema only while it is the search path. */
export async function readCatalogue(client: ClientBase, schema: string, role: string): Promise<Catalogue> {
  const { rows } = await client.query<{ tables: Table[] | null; other: string[] | null }>(query, [schema, role]);
  return { tables: rows[0]?.tables ?? [], other: rows[0]?.other ?? [] };
}

const query = `
WITH space AS (SELECT oid FROM pg_namespace WHERE nspname = $1)
SELECT
  (SELECT json_agg(json_build_object(
    'name', c.relname,
    'options', c.reloptions,
    'toast', c.reltoastrelid <> 0,
    'rowSecurity', c.relrowsecurity,
    'forced', c.relforcerowsecurity,
    'columns', (
      SELECT json_agg(json_build_object(
        'name', a.attname, 'type', format_type(a.atttypid, a.atttypmod), 'notNull', a.attnotnull,
        'default', pg_get_expr(d.adbin, d.adrelid, true), 'identity', a.attidentity, 'generated', a.attgenerated,
        'storage', a.attstorage,
        'collation', CASE WHEN a.attcollation <> t.typcollation THEN a.attcollation::regcollation::text END
      ) ORDER BY a.attnum)
      FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
      WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
    'constraints', coalesce((
      SELECT json_agg(json_build_object(
        'name', k.conname, 'kind', k.contype, 'definition', pg_get_constraintdef(k.oid, true),
        'columns', (SELECT json_agg(a.attname ORDER BY n) FROM unnest(k.conkey) WITH ORDINALITY u(num, n)
                    JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.num),
        'references', (SELECT json_agg(a.attname ORDER BY n) FROM unnest(k.confkey) WITH ORDINALITY u(num, n)
                    JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.num)
      ) ORDER BY k.contype <> 'p', k.conname)
      FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype <> 'n'), '[]'),
    'indexes', coalesce((
      SELECT json_agg(json_build_object(
        'name', i.relname, 'definition', pg_get_indexdef(x.indexrelid, 0, true), 'unique', x.indisunique,
        'columns', (SELECT json_agg(a.attname ORDER BY n) FROM unnest(x.indkey::int2[]) WITH ORDINALITY u(num, n)
                    LEFT JOIN pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = u.num)
      ) ORDER BY i.relname)
      FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
      WHERE x.indrelid = c.oid AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = x.indexrelid AND k.conrelid = c.oid)), '[]'),
    'policies', coalesce((
      SELECT json_agg(json_build_object(
        'name', p.polname, 'command', p.polcmd, 'permissive', p.polpermissive,
        'using', pg_get_expr(p.polqual, p.polrelid), 'check', pg_get_expr(p.polwithcheck, p.polrelid)
      ) ORDER BY p.polname) FROM pg_policy p WHERE p.polrelid = c.oid), '[]'),
    'grants', coalesce((
      SELECT json_agg(grants.line ORDER BY grants.line) FROM (
        SELECT (CASE WHEN e.grantee = 0 THEN 'PUBLIC' WHEN r.rolname = $2 THEN '$role' ELSE r.rolname END)
          || '=' || string_agg(e.privilege_type || CASE WHEN e.is_grantable THEN '*' ELSE '' END, ',' ORDER BY e.privilege_type) AS line
        FROM aclexplode(c.relacl) e LEFT JOIN pg_roles r ON r.oid = e.grantee
        WHERE e.grantee <> c.relowner GROUP BY e.grantee, r.rolname) grants), '[]')
  ) ORDER BY c.oid) FROM pg_class c WHERE c.relnamespace = space.oid AND c.relkind IN ('r', 'p')) AS tables,
  (SELECT json_agg(found.what ORDER BY found.what) FROM (
    SELECT CASE c.relkind WHEN 'S' THEN 'sequence ' WHEN 'v' THEN 'view ' WHEN 'm' THEN 'materialized view '
      WHEN 'p' THEN 'partitioned table ' ELSE 'relation ' END || c.relname AS what
      FROM pg_class c WHERE c.relnamespace = space.oid AND c.relkind NOT IN ('r', 'i', 't')
    UNION ALL SELECT 'function ' || p.proname FROM pg_proc p WHERE p.pronamespace = space.oid
    UNION ALL SELECT 'trigger ' || t.tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
      WHERE c.relnamespace = space.oid AND NOT t.tgisinternal
    UNION ALL SELECT 'type ' || t.typname FROM pg_type t
      WHERE t.typnamespace = space.oid AND t.typrelid = 0 AND t.typcategory <> 'A'
    UNION ALL SELECT 'statistics ' || s.stxname FROM pg_statistic_ext s WHERE s.stxnamespace = space.oid
    UNION ALL SELECT 'inheritance of ' || i.inhrelid::regclass FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
      WHERE c.relnamespace = space.oid
  ) found) AS other
FROM space`;

/** What differs, one line each; empty when both hold the same. */
export function differences(expected: Catalogue, found: Catalogue): string[] {
  const lines = (catalogue: Catalogue) =>
    new Set([
      ...catalogue.other,
      ...catalogue.tables.flatMap(({ name, columns, constraints, indexes, policies, ...rest }) => [
        `${name} ${JSON.stringify(rest)}`,
        ...columns.map((column, at) => `${name} column ${at + 1} ${JSON.stringify(column)}`),
        ...constraints.map((constraint) => `${name} constraint ${JSON.stringify(constraint)}`),
        ...indexes.map((index) => `${name} index ${JSON.stringify(index)}`),
        ...policies.map((policy) => `${name} policy ${JSON.stringify(policy)}`),
      ]),
    ]);
  const wanted = lines(expected);
  const got = lines(found);
  return [
    ...[...wanted].filter((line) => !got.has(line)).map((line) => `missing: ${line}`),
    ...[...got].filter((line) => !wanted.has(line)).map((line) => `unexpected: ${line}`),
  ];
}
