import type { ClientBase, Pool } from 'pg';

type Row = Record<string, unknown>;
export interface TablePage {
  rows: Row[];
  /** Goes into `after` for the next page; null: this was the last. */
  next: Row | null;
}

/** A page is a message on the bus, or a piece of a file. */
const PAGE_BYTES = 256 * 1024;
const PAGE_ROWS = 500;
const PAGE_BLOCKS = 32;
const BLOCK_BYTES = 8192;

/**
 * Rows of a table in the order of its primary key, so that a page never repeats or leaves out what was there when the first was read; in the
 * order of its blocks where it has none. `table` and `condition` are SQL of our own; `$1` is `parameter`.
 */
export async function readTablePage(
  on: Pool | ClientBase,
  { table, condition, parameter, without = [] }: { table: string; condition: string; parameter: unknown; without?: string[] },
  after: unknown,
): Promise<TablePage> {
  const key = await primaryKey(on, table);
  if (key.length === 0) return readBlocks(on, { table, condition, parameter, without }, after);
  const columns = key.map((column) => `t.${column}`).join(', ');
  const beyond = key.map((column) => `a.${column}`).join(', ');
  const named = key.map((column) => `'${column.replaceAll('"', '')}', t.${column}`).join(', ');
  const { rows } = await on.query<{ row: Row; key: Row }>(
    `SELECT to_jsonb(t) - $3::text[] AS row, jsonb_build_object(${named}) AS key FROM ${table} t
     WHERE (${condition}) AND ($2::jsonb IS NULL OR (${columns}) > (SELECT ${beyond} FROM jsonb_populate_record(NULL::${table}, $2::jsonb) a))
     ORDER BY ${columns} LIMIT ${PAGE_ROWS}`,
    [parameter, after === null ? null : JSON.stringify(after), without],
  );
  let bytes = 0;
  const cut = rows.findIndex(({ row }, index) => {
    bytes += Buffer.byteLength(JSON.stringify(row));
    return bytes > PAGE_BYTES && index > 0;
  });
  const shown = cut === -1 ? rows : rows.slice(0, cut);
  const more = cut !== -1 || rows.length === PAGE_ROWS;
  return { rows: shown.map(({ row }) => row), next: more ? (shown.at(-1)?.key ?? null) : null };
}

async function readBlocks(
  on: Pool | ClientBase,
  { table, condition, parameter, without }: { table: string; condition: string; parameter: unknown; without: string[] },
  after: unknown,
): Promise<TablePage> {
  const from = Number((after as { block?: number } | null)?.block ?? 0);
  const until = from + PAGE_BLOCKS;
  const { rows } = await on.query<{ row: Row | null; size: string }>(
    `SELECT pg_relation_size($5::regclass) AS size, to_jsonb(t) - $4::text[] AS row
     FROM (SELECT) one LEFT JOIN ${table} t ON t.ctid >= $2::tid AND t.ctid < $3::tid AND (${condition})`,
    [parameter, `(${from},0)`, `(${until},0)`, without, table],
  );
  const more = until * BLOCK_BYTES < Number(rows[0]?.size);
  return { rows: rows.flatMap(({ row }) => (row === null ? [] : [row])), next: more ? { block: until } : null };
}

async function primaryKey(on: Pool | ClientBase, table: string): Promise<string[]> {
  const { rows } = await on.query<{ column: string }>(
    `SELECT quote_ident(a.attname) AS column FROM pg_index i
     JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
     WHERE i.indrelid = $1::regclass AND i.indisprimary ORDER BY array_position(i.indkey::int2[], a.attnum)`,
    [table],
  );
  return rows.map(({ column }) => column);
}
