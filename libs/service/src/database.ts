import type { NodePgDatabase } from 'drizzle-orm/node-postgres';
import type { Pool } from 'pg';

/** The service's own schema. Token for injection; tables are named with their schema. */
export abstract class Database {
  abstract readonly db: NodePgDatabase;
  abstract readonly pool: Pool;
}
