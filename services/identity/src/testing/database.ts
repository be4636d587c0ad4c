import { readdir, readFile } from 'node:fs/promises';
import { startPostgres } from '@tenantry/testing/postgres';
import pg from 'pg';

/** A real database with identity's own schema. */
export async function identityDatabase(): Promise<{ pool: pg.Pool; stop(): Promise<void> }> {
  const server = await startPostgres();
  const pool = new pg.Pool({ connectionString: server.url, max: 10 });
  const folder = new URL('../../migrations/service/', import.meta.url);
  const files = (await readdir(folder)).sort();
  const sql = (await Promise.all(files.map((file) => readFile(new URL(file, folder), 'utf8')))).join(';\n');
  const client = await pool.connect();
  await client.query('CREATE SCHEMA identity; SET search_path = identity');
  await client.query(sql);
  // The connection has another search path now: it is not given back.
  client.release(true);
  return {
    pool,
    stop: async () => {
      await pool.end();
      await server.stop();
    },
  };
}
