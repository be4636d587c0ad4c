import { createReadStream } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';

const onDatabase = async <T>(postgresUrl: string, database: string, work: (client: pg.Client) => Promise<T>): Promise<T> => {
  const url = new URL(postgresUrl);
  url.pathname = `/${database}`;
  const client = new pg.Client({ connectionString: url.href });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
};

/** Where a text stands in any row of any table of any database of the server, as text or inside of bytes. */
export async function searchPostgres(postgresUrl: string, needle: string): Promise<string[]> {
  const databases = await onDatabase(postgresUrl, 'postgres', async (client) =>
    (await client.query<{ name: string }>('SELECT datname AS name FROM pg_database WHERE datallowconn')).rows.map(({ name }) => name),
  );
  const found: string[] = [];
  for (const database of databases) {
    await onDatabase(postgresUrl, database, async (client) => {
      const { rows } = await client.query<{ name: string }>(
        `SELECT format('%I.%I', n.nspname, c.relname) AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE c.relkind IN ('r', 'm') AND n.nspname <> 'pg_toast' AND (n.nspname !~ '^pg_' OR c.relname IN ('pg_description', 'pg_authid', 'pg_class'))`,
      );
      const hex = Buffer.from(needle).toString('hex');
      for (const { name } of rows) {
        const { rowCount } = await client.query(`SELECT FROM ${name} t WHERE t::text LIKE $1 OR t::text LIKE $2 LIMIT 1`, [
          `%${needle}%`,
          `%${hex}%`,
        ]);
        if (rowCount) found.push(`${database}: ${name}`);
      }
    });
  }
  return found;
}

/** Files below a folder that hold a text, byte by byte; `without`: names of folders that are left out. */
export async function searchFiles(folder: string, needle: string, without: string[] = []): Promise<string[]> {
  const found: string[] = [];
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) {
      if (!without.includes(entry.name)) found.push(...(await searchFiles(path, needle, without)));
    } else if (entry.isFile() && (entry.name.includes(needle) || (await holds(path, Buffer.from(needle))))) found.push(path);
  }
  return found;
}

async function holds(path: string, needle: Buffer): Promise<boolean> {
  let tail: Buffer = Buffer.alloc(0);
  for await (const chunk of createReadStream(path)) {
    const piece = Buffer.concat([tail, chunk as Buffer]);
    if (piece.includes(needle)) return true;
    tail = piece.subarray(Math.max(0, piece.length - needle.length));
  }
  return false;
}
