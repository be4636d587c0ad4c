import { PostgresEventStore } from '@tenantry/event-store/adapters/postgres/postgres-event-store';
import type { EventStore } from '@tenantry/event-store/port';
import type { Pool } from 'pg';

/** The tenant logs as this process reaches them. */
export interface LogStore {
  store: EventStore;
  /** Whether PostgreSQL only has a copy, filled by the relay, which then wakes who waits for events. */
  isCopied: boolean;
  /** What must work besides the database before requests are served. */
  checks: { name: string; check: () => Promise<void> }[];
  close(): Promise<void>;
}

/**
 * In PostgreSQL, or decided by the KurrentDB server of `url`.
 * @throws Error where the database holds a copy of KurrentDB's logs and `url` is missing: appending to the copy would part it from them for ever
 */
export async function openLogStore(url: string | undefined, pool: Pool, name: string): Promise<LogStore> {
  if (url === undefined) {
    const { rowCount } = await pool.query('SELECT FROM log.copier WHERE commit_position IS NOT NULL');
    if (rowCount) {
      throw new Error(
        'The logs of this database are a copy of KurrentDB. Remedy: set TENANTRY_EVENTSTORE_URL to that server, in every process',
      );
    }
    return { store: new PostgresEventStore(pool), isCopied: false, checks: [], close: async () => undefined };
  }
  // Loaded where it is used: no other process pays for the client.
  const [{ connectKurrentDb }, { KurrentDbEventStore }] = await Promise.all([
    import('@tenantry/event-store/adapters/kurrentdb/connection'),
    import('@tenantry/event-store/adapters/kurrentdb/kurrentdb-event-store'),
  ]);
  const store = new KurrentDbEventStore(connectKurrentDb(url, name), pool);
  return { store, isCopied: true, checks: [{ name: 'kurrentdb', check: () => store.check() }], close: () => store.close() };
}
