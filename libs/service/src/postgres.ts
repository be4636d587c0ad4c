import { setTimeout as sleep } from 'node:timers/promises';
import { isTransient } from '@tenantry/event-store/adapters/postgres/transient';
import type { Logger } from '@tenantry/observability/logger';
import { drizzle, type NodePgDatabase } from 'drizzle-orm/node-postgres';
import pg from 'pg';
import { Database } from './database.js';

export interface PoolSettings {
  url: string;
  /** Seen in `pg_stat_activity`. */
  name: string;
  max: number;
  logger: Logger;
}

const statementTimeoutMs = 30_000;
/**
 * PostgreSQL's sessions never give back what they have learnt of tables, roles and plans, and there are more of them with every tenant. A new
 * session costs some 10 ms, this seldom.
 */
const SESSION_LIFETIME_SECONDS = 120;

/** Connections that are made when needed. A lost one is logged and replaced: without a listener for it, it would end the process. */
export function createPool({ url, name, max, logger }: PoolSettings): pg.Pool {
  const pool = new pg.Pool({
    connectionString: url,
    application_name: name,
    max,
    connectionTimeoutMillis: 5_000,
    idleTimeoutMillis: 30_000,
    maxLifetimeSeconds: SESSION_LIFETIME_SECONDS,
    keepAlive: true,
    // Statements of one transaction needn't wait for each other's answers (`runAll` of messaging makes use of it).
    pipeline: true,
    statement_timeout: statementTimeoutMs,
    // A server that is alive has ended the statement by then. Of one that went without a word nothing would ever come.
    query_timeout: statementTimeoutMs + 2_000,
    // A frozen process must not hold its row locks for long.
    idle_in_transaction_session_timeout: 5_000,
  } as pg.PoolConfig);
  pool.on('error', (error) => logger.warn({ err: error }, 'a database connection was lost'));
  return pool;
}

export class PostgresDatabase extends Database {
  override readonly db: NodePgDatabase;
  constructor(override readonly pool: pg.Pool) {
    super();
    this.db = drizzle(pool);
  }
}

/** Waits for a server that isn't up yet. Only what waiting can cure is waited for. @throws Error for anything else, such as a refused login */
export async function untilPostgresAnswers(pool: pg.Pool, logger: Logger): Promise<void> {
  for (let waits = 0; ; waits++) {
    try {
      await pool.query('SELECT 1');
      return;
    } catch (error) {
      if (!isTransient(error)) throw error;
      if (waits % 20 === 0) logger.warn({ err: error }, 'Postgres is not there yet');
      await sleep(250);
    }
  }
}
