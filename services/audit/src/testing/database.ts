import { readFile } from 'node:fs/promises';
import type { Tenants, TenantTransaction } from '@tenantry/tenancy/tenants';
import { startPostgres } from '@tenantry/testing/postgres';
import { drizzle } from 'drizzle-orm/node-postgres';
import pg from 'pg';

/** A real database with a tenant's table of audit entries. */
export async function auditDatabase(): Promise<{ tenants: Tenants; stop(): Promise<void> }> {
  const server = await startPostgres();
  const pool = new pg.Pool({ connectionString: server.url, max: 4 });
  await pool.query(await readFile(new URL('../../migrations/tenant/0001_audit_entries.sql', import.meta.url), 'utf8'));
  const withTenant = async <T>(_tenantId: string, work: (tx: TenantTransaction) => Promise<T>): Promise<T> => {
    const client = await pool.connect();
    try {
      return await work({ db: drizzle(client), client } as unknown as TenantTransaction);
    } finally {
      client.release();
    }
  };
  return {
    tenants: { withTenant } as Tenants,
    stop: async () => {
      await pool.end();
      await server.stop();
    },
  };
}
