import { readdir, readFile } from 'node:fs/promises';
import { startPostgres } from '@tenantry/testing/postgres';
import pg from 'pg';

export interface LedgerDatabase {
  pool: pg.Pool;
  stop(): Promise<void>;
}

/** For specs: a PostgreSQL of one's own with this service's tables. */
export async function startLedgerDatabase(): Promise<LedgerDatabase> {
  const server = await startPostgres();
  const pool = new pg.Pool({ connectionString: server.url, max: 20 });
  const folder = new URL('../../migrations/service/', import.meta.url);
  const files = await Promise.all((await readdir(folder)).sort().map((file) => readFile(new URL(file, folder), 'utf8')));
  await pool.query(`CREATE SCHEMA quota_metering; SET search_path = quota_metering; ${files.join(';\n')}; RESET search_path;`);
  return {
    pool,
    stop: async () => {
      await pool.end();
      await server.stop();
    },
  };
}
