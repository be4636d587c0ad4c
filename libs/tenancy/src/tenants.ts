import type { NodePgDatabase } from 'drizzle-orm/node-postgres';
import type { PoolClient } from 'pg';
import type { Placement } from './placement.js';

/** One transaction in one tenant's context. Tables are named without a schema. */
export interface TenantTransaction {
  db: NodePgDatabase;
  /** The same connection, for set-based SQL that Drizzle has no words for. */
  client: PoolClient;
  placement: Placement;
}

/** The only way to a tenant's rows. */
export abstract class Tenants {
  /**
   * Runs `work` in one transaction with the tenant's role, search path, `app.tenant_id` and statement timeout; commits when it resolves.
   * @throws DomainError `placement.not_found` (no place yet, or its tables do not exist yet), `placement.closed` (being moved, after waiting), `placement.unavailable` (its database does not answer; refused at once after the first), `placement.busy` (all connections to its database are in use), `tenant.busy` (too many of its transactions wait for a connection)
   */
  abstract withTenant<T>(tenantId: string, work: (tx: TenantTransaction) => Promise<T>): Promise<T>;
  /** Null where the tenant has no place. Cached; `fresh` reads again. */
  abstract placement(tenantId: string, options?: { fresh?: boolean }): Promise<Placement | null>;
  abstract close(): Promise<void>;
}
