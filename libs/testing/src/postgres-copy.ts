import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import pg from 'pg';
import { from as copyFrom, to as copyTo } from 'pg-copy-streams';

/** Of a `schema.table`, for a statement. */
const quoted = (table: string) => table.split('.').map(pg.escapeIdentifier).join('.');

async function connected<Result>(url: string, work: (client: pg.Client) => Promise<Result>): Promise<Result> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/**
 * The rows of `tables` (`schema.table`; partitioned ones with all their partitions) as they were at one moment, one file per table.
 * `url` is a superuser's: row-level security hides nothing from it. The packages' PostgreSQL comes without pg_dump.
 */
export async function dumpTables(url: string, tables: readonly string[], folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  await connected(url, async (client) => {
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    for (const table of tables) {
      await pipeline(client.query(copyTo(`COPY (SELECT * FROM ${quoted(table)}) TO STDOUT`)), createWriteStream(join(folder, table)));
    }
    await client.query('COMMIT');
  });
}

/** Puts the rows of a dump in the place of what the tables hold; all or nothing. The tables exist: their migrations have run. */
export async function loadTables(url: string, tables: readonly string[], folder: string): Promise<void> {
  await connected(url, async (client) => {
    await client.query('BEGIN');
    await client.query(`TRUNCATE ${tables.map(quoted).join(', ')}`);
    for (const table of tables) {
      await pipeline(createReadStream(join(folder, table)), client.query(copyFrom(`COPY ${quoted(table)} FROM STDIN`)));
    }
    await client.query('COMMIT');
  });
}
