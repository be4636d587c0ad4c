import type { ClientBase, Pool } from 'pg';

/** Where a page ends: the texts of the row's primary key, or the place of the row where there is none. */
export type After = string[] | null;
interface TablePage {
  /** Each as JSON, as PostgreSQL writes it: a number that went through JavaScript might be another one. */
  rows: string[];
  /** Goes into `after` for the next page; null: this was the last. */
  next: After;
}
interface TableSource {
  /** SQL of our own, as the condition is; in that `$1` is `parameter`. */
  table: string;
  condition: string;
  parameter: unknown;
  /** Columns that are left out. */
  without?: string[];
}

/** A page is a message on the bus, or a piece of a file. */
const PAGE_BYTES = 256 * 1024;
const PAGE_ROWS = 500;
const PAGE_BLOCKS = 32;
const BLOCK_BYTES = 8192;

interface Column {
  name: string;
  type: string;
  /** In the primary key; null for others. */
  nth: number | null;
}

/**
 * Rows of a table in the order of its primary key, so that a page never repeats or leaves out what was there when the first was read; in the
 * order of their places where it has none. Which rows make a page is found by the sizes that they are stored with: of large ones, few are read.
 */
export async function readTablePage(on: Pool | ClientBase, source: TableSource, after: After): Promise<TablePage> {
  const columns = await columnsOf(on, source.table);
  const key = columns.filter(({ nth }) => nth !== null).sort((a, b) => Number(a.nth) - Number(b.nth));
  return key.length > 0 ? byKey(on, source, columns, key, after) : byPlace(on, source, columns, after);
}

async function byKey(on: Pool | ClientBase, source: TableSource, columns: Column[], key: Column[], after: After): Promise<TablePage> {
  const beyond = key.map(({ type }, index) => `($2::text[])[${index + 1}]::${type}`).join(', ');
  const { rows, cut, near } = await read(on, source, columns, after, {
    at: key.map(({ name }) => name),
    where: `($2::text[] IS NULL OR (${key.map(({ name }) => `t.${name}`).join(', ')}) > (${beyond}))`,
  });
  return { rows: rows.map(({ row }) => row), next: cut || near === PAGE_ROWS ? (rows.at(-1)?.at ?? null) : null };
}

async function byPlace(on: Pool | ClientBase, source: TableSource, columns: Column[], after: After): Promise<TablePage> {
  const from = after?.[0] ?? '(0,0)';
  const until = Number(/^\((\d+),/.exec(from)?.[1] ?? 0) + PAGE_BLOCKS;
  const { rows: sizes } = await on.query<{ size: string }>('SELECT pg_relation_size($1::regclass) AS size', [source.table]);
  const { rows, cut, near } = await read(on, source, columns, [from], {
    at: ['ctid'],
    where: `t.ctid > ($2::text[])[1]::tid AND t.ctid < '(${until},0)'::tid`,
  });
  const more = until * BLOCK_BYTES < Number(sizes[0]?.size);
  const next = cut || near === PAGE_ROWS ? rows.at(-1)?.at : more ? [`(${until},0)`] : null;
  return { rows: rows.map(({ row }) => row), next: next ?? null };
}

/** @returns `cut`: there were more within sight; `near`: how many were in sight */
async function read(
  on: Pool | ClientBase,
  { table, condition, parameter, without = [] }: TableSource,
  columns: Column[],
  after: After,
  { at, where }: { at: string[]; where: string },
): Promise<{ rows: { row: string; at: string[] }[]; cut: boolean; near: number }> {
  const bytes = columns.map(({ name }) => `coalesce(pg_column_size(t.${name}), 0)`).join(' + ') || '0';
  const own = at.map((_, index) => `k${index}`).join(', ');
  const { rows } = await on.query<{ row: string; at: string[]; near: string }>(
    `WITH near AS MATERIALIZED (
       SELECT ${at.map((name, index) => `t.${name} AS k${index}`).join(', ')}, ${bytes} AS bytes
       FROM ${table} t WHERE (${condition}) AND ${where} ORDER BY ${at.map((name) => `t.${name}`).join(', ')} LIMIT ${PAGE_ROWS}),
     sized AS (SELECT *, sum(bytes) OVER (ORDER BY ${own} ROWS UNBOUNDED PRECEDING) - bytes AS before, count(*) OVER () AS near FROM near)
     SELECT (to_jsonb(t) - $3::text[])::text AS row, ARRAY[${at.map((name) => `t.${name}::text`).join(', ')}] AS at, near
     FROM sized JOIN ${table} t ON ${at.map((name, index) => `t.${name} = k${index}`).join(' AND ')}
     WHERE before < ${PAGE_BYTES} ORDER BY ${own}`,
    [parameter, after, without],
  );
  const near = Number(rows[0]?.near ?? 0);
  // What is stored in few bytes may be many as text.
  let said = 0;
  const over = rows.findIndex(({ row }, index) => {
    said += Buffer.byteLength(row);
    return said > PAGE_BYTES && index > 0;
  });
  const shown = over === -1 ? rows : rows.slice(0, over);
  return { rows: shown, cut: shown.length < near, near };
}

async function columnsOf(on: Pool | ClientBase, table: string): Promise<Column[]> {
  const { rows } = await on.query<Column>(
    `SELECT quote_ident(a.attname) AS name, format_type(a.atttypid, a.atttypmod) AS type,
       (SELECT n FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS u(num, n) WHERE num = a.attnum AND n <= i.indnkeyatts)::int AS nth
     FROM pg_attribute a LEFT JOIN pg_index i ON i.indrelid = a.attrelid AND i.indisprimary
     WHERE a.attrelid = $1::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`,
    [table],
  );
  return rows;
}
