import type { Pool } from 'pg';
import type { Placement } from '../placement.js';
import { identifier, uuidLiteral } from '../sql.js';

interface Parent {
  name: string;
  deferrable: boolean;
}
interface Child {
  name: string;
  parents: readonly Parent[];
}

export interface MovedTable {
  name: string;
  columns: { name: string; type: string; generated: boolean }[];
  /** Columns of the primary key; empty where there is none. */
  key: string[];
  /** Tables of the same schema that a foreign key of this one names, by which columns, and whether its check can wait for the end of the transaction. */
  parents: (Parent & { columns: string[]; references: string[] })[];
  /** Triggers of the product's own. */
  triggers: string[];
  forced: boolean;
  /** Made by a blueprint: what it computes of rows runs with the rights of the product's owner. */
  ofProduct: boolean;
}

/** The tables of a schema, parents before their children where foreign keys allow an order at all. */
export async function readTables(client: Pick<Pool, 'query'>, schema: string): Promise<MovedTable[]> {
  const { rows } = await client.query<MovedTable>(query, [schema]);
  return parentsFirst(rows);
}

/**
 * Statements that delete a tenant's rows from both schemas of a place: children first, by their foreign keys, because one that was added
 * later may lead to a newer table.
 */
export async function deletesOf(client: Pick<Pool, 'query'>, { tenantId, schema, appSchema }: Placement): Promise<string> {
  const statements: string[] = [];
  for (const each of [appSchema, schema])
    for (const { name } of (await readTables(client, each)).reverse())
      statements.push(`DELETE FROM ${identifier(each)}.${identifier(name)} WHERE tenant_id = ${uuidLiteral(tenantId)};`);
  return statements.join(' ');
}

/** Stable: of tables that nothing orders, the first stays first. In a circle the order is as given. */
export function parentsFirst<T extends Child>(tables: readonly T[]): T[] {
  const ordered: T[] = [];
  const placed = new Set<string>();
  const names = new Set(tables.map(({ name }) => name));
  let left = [...tables];
  while (left.length > 0) {
    const ready = left.filter(({ name, parents }) =>
      parents.every((parent) => parent.name === name || placed.has(parent.name) || !names.has(parent.name)),
    );
    const next = ready.length > 0 ? ready : left.slice(0, 1);
    for (const table of next) placed.add(table.name);
    ordered.push(...next);
    left = left.filter((table) => !placed.has(table.name));
  }
  return ordered;
}

/** Tables whose foreign keys lead back to themselves by checks that can't wait: no order of single rows satisfies them. */
export function inCircles(tables: readonly Child[]): string[] {
  const strict = new Map(
    tables.map(({ name, parents }) => [name, parents.filter(({ deferrable }) => !deferrable).map((parent) => parent.name)]),
  );
  const reaches = (from: string, to: string, seen = new Set<string>()): boolean =>
    (strict.get(from) ?? []).some((parent) => {
      if (parent === to) return true;
      if (seen.has(parent)) return false;
      return reaches(parent, to, seen.add(parent));
    });
  return tables.filter(({ name }) => reaches(name, name)).map(({ name }) => name);
}

const query = `
SELECT c.relname AS name,
  (SELECT json_agg(json_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod), 'generated', a.attgenerated <> '') ORDER BY a.attnum)
   FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns,
  coalesce((SELECT json_agg(a.attname ORDER BY n)
   FROM pg_index x CROSS JOIN LATERAL unnest(x.indkey::int2[]) WITH ORDINALITY u(num, n)
   JOIN pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = u.num WHERE x.indrelid = c.oid AND x.indisprimary), '[]') AS key,
  coalesce((SELECT json_agg(json_build_object('name', p.relname, 'deferrable', k.condeferrable,
     'columns', (SELECT json_agg(a.attname ORDER BY n) FROM unnest(k.conkey) WITH ORDINALITY u(num, n) JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.num),
     'references', (SELECT json_agg(a.attname ORDER BY n) FROM unnest(k.confkey) WITH ORDINALITY u(num, n) JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.num)))
   FROM pg_constraint k JOIN pg_class p ON p.oid = k.confrelid AND p.relnamespace = c.relnamespace
   WHERE k.conrelid = c.oid AND k.contype = 'f'), '[]') AS parents,
  coalesce((SELECT json_agg(t.tgname ORDER BY t.tgname) FROM pg_trigger t
   WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgname NOT LIKE 'tenantry\\_moving\\_%'), '[]') AS triggers,
  c.relforcerowsecurity AS forced, c.relowner = to_regrole('tenantry_app_owner')::oid AS "ofProduct"
FROM pg_class c WHERE c.relnamespace = to_regnamespace(quote_ident($1)) AND c.relkind IN ('r', 'p') AND NOT c.relispartition
ORDER BY c.oid`;
