import { PostgresTenants } from '@tenantry/tenancy/postgres-tenants';
import type { TenantTransaction } from '@tenantry/tenancy/tenants';
import pg from 'pg';
import { TenantryApi } from './api.js';

export interface TenantDatabaseConfig {
  /** The platform's database, with a login that is a member of `tenantry_product`. */
  url: string;
  /** Tells the passwords of other databases: a platform key that has `placement:connect`. Not needed where all tenants live in the platform's. */
  api?: { url: string; apiKey: string };
  /** Connections for all tenants of the platform's database together. Default 10. */
  maxConnections?: number;
  /** Of every statement. Default 10 s. */
  statementTimeoutMs?: number;
  /** Connections that were lost, apart from queries; they are replaced by themselves. */
  onLost?: (error: Error) => void;
}

export interface TenantDatabase {
  /**
   * Runs `work` in one transaction in the tenant's context, on the product's own tables, wherever the tenant lives; commits when it resolves.
   * While the tenant is being moved the caller waits.
   * @throws Error with the `code` `placement.not_found`, `placement.closed` (a move that takes longer than 5 s, or too many who wait), `placement.unavailable`
   * (its database does not answer), `placement.busy` (all connections to it are in use), `tenant.busy` (too many transactions of it at once)
   */
  withTenant<T>(tenantId: string, work: (tx: Pick<TenantTransaction, 'db' | 'client'>) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

/** The product's own tables, tenant by tenant, whatever their levels of isolation are. One per process. */
export function tenantDatabase(config: TenantDatabaseConfig): TenantDatabase {
  const { url, api, maxConnections = 10, statementTimeoutMs, onLost = () => undefined } = config;
  const pool = new pg.Pool({ connectionString: url, max: maxConnections, connectionTimeoutMillis: 10_000, keepAlive: true });
  pool.on('error', onLost);
  const asked = api && new TenantryApi({ url: api.url, apiKey: api.apiKey, surface: 'platform' });
  const passwordOf = async (tenantId: string, generation: number): Promise<string> => {
    if (!asked) throw new Error('The tenant lives in another database: tenantDatabase needs `api`, to ask for its login');
    const login = await asked.databaseLogin(tenantId);
    return (login.next?.generation === generation ? login.next : login).password;
  };
  const tenants = new PostgresTenants({
    pool,
    url,
    keys: { passwordOf },
    path: 'product',
    ...(statementTimeoutMs === undefined ? {} : { statementTimeoutMs }),
    onIdleError: onLost,
  });
  return {
    withTenant: (tenantId, work) => tenants.withTenant(tenantId, work),
    close: async () => {
      await tenants.close();
      await pool.end();
    },
  };
}
