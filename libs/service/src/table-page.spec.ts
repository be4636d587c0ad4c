import { startPostgres } from '@tenantry/testing/postgres';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type After, readTablePage } from './table-page.js';

let pool: pg.Pool;
let stop: () => Promise<void>;
beforeAll(async () => {
  const server = await startPostgres();
  pool = new pg.Pool({ connectionString: server.url, max: 1 });
  stop = async () => {
    await pool.end();
    await server.stop();
  };
}, 120_000);
afterAll(() => stop?.());

/** Page by page; how many rows each had. */
async function all(table: string) {
  const rows: string[] = [];
  const pages: number[] = [];
  let after: After = null;
  do {
    const page: Awaited<ReturnType<typeof readTablePage>> = await readTablePage(
      pool,
      { table, condition: '$1::text IS NOT NULL', parameter: 'x' },
      after,
    );
    rows.push(...page.rows);
    pages.push(page.rows.length);
    after = page.next;
  } while (after !== null);
  return { rows, pages };
}

describe('a table that is read in pages', () => {
  it('has each row once, whatever its key is, and every digit of its numbers', async () => {
    await pool.query(
      `CREATE TABLE numbers (word text COLLATE "C" NOT NULL, id bigint NOT NULL, exact numeric NOT NULL, PRIMARY KEY (word, id) INCLUDE (exact));
       INSERT INTO numbers SELECT 'w' || n % 2, 9007199254740993 + n, 0.12345678901234567890 + n FROM generate_series(1, 1201) n`,
    );
    const { rows } = await all('numbers');
    const { rows: expected } = await pool.query(`SELECT id::text, exact::text FROM numbers ORDER BY word COLLATE "C", id`);
    expect(rows.map((row) => [/"id": (\d+)/.exec(row)?.[1], /"exact": ([\d.]+)/.exec(row)?.[1]])).toEqual(
      expected.map(({ id, exact }) => [id, exact]),
    );
  });

  it('shows few rows at a time where they are large, with a key or without', async () => {
    const large = `(SELECT string_agg(md5(n::text || i::text), '') FROM generate_series(1, 4000) i)`;
    await pool.query(
      `CREATE TABLE keyed (id int PRIMARY KEY, content text); INSERT INTO keyed SELECT n, ${large} FROM generate_series(1, 30) n;
       CREATE TABLE keyless AS SELECT * FROM keyed; INSERT INTO keyless SELECT n, 'x' FROM generate_series(31, 20000) n`,
    );
    const keyed = await all('keyed');
    expect(keyed.rows.map((row) => JSON.parse(row).id)).toEqual(Array.from({ length: 30 }, (_, index) => index + 1));
    expect(Math.max(...keyed.pages)).toBeLessThanOrEqual(4);
    const keyless = await all('keyless');
    expect(keyless.rows.map((row) => JSON.parse(row).id)).toEqual(Array.from({ length: 20_000 }, (_, index) => index + 1));
    expect(keyless.pages[0]).toBeLessThanOrEqual(4);
    expect(Math.max(...keyless.pages)).toBeLessThanOrEqual(500);
  });
});
