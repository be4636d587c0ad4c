import { readFile } from 'node:fs/promises';
import type { Tenants, TenantTransaction } from '@tenantry/tenancy/tenants';
import { startPostgres } from '@tenantry/testing/postgres';
import { drizzle } from 'drizzle-orm/node-postgres';
import pg from 'pg';

const read = (path: string) => readFile(new URL(path, import.meta.url), 'utf8');

/** A real database: the service's own schema, and one with a tenant's tables. */
export async function domainDatabase(): Promise<{ pool: pg.Pool; tenants: Tenants; stop(): Promise<void> }> {
  const server = await startPostgres();
  const pool = new pg.Pool({ connectionString: server.url, max: 10 });
  const messaging = '../../../../libs/messaging/migrations';
  const client = await pool.connect();
  await client.query('CREATE SCHEMA domain_ssl; SET search_path = domain_ssl');
  await client.query((await read(`${messaging}/0001_messaging.sql`)).replaceAll(':schema', 'domain_ssl'));
  await client.query(await read('../../migrations/service/0001_domain_ssl.sql'));
  await client.query('CREATE SCHEMA t; SET search_path = t');
  await client.query(await read(`${messaging}/tenant/0001_checkpoints.sql`));
  await client.query(await read('../../migrations/tenant/0001_domain_domains.sql'));
  // The connection has another search path now: it is not given back.
  client.release(true);

  const withTenant = async <T>(_tenantId: string, work: (tx: TenantTransaction) => Promise<T>): Promise<T> => {
    const connection = await pool.connect();
    try {
      await connection.query('SET search_path = t');
      return await work({ db: drizzle(connection), client: connection } as unknown as TenantTransaction);
    } finally {
      connection.release(true);
    }
  };
  return {
    pool,
    tenants: { withTenant } as Tenants,
    stop: async () => {
      await pool.end();
      await server.stop();
    },
  };
}
