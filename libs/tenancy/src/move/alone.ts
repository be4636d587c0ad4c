import pg from 'pg';
import type { PlaceContext } from '../place-context.js';
import { uuidLiteral } from '../sql.js';

/**
 * Nobody else works at the tenant's move meanwhile, not even a process that was believed dead. Null where somebody does.
 * The lock goes with its transaction, so that it holds behind a pooler too.
 */
export async function alone<T>({ url }: PlaceContext, tenantId: string, work: () => Promise<T>): Promise<{ result: T } | null> {
  const client = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: 10_000,
    application_name: 'tenantry-move',
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
  });
  let lost: Error | undefined;
  client.on('error', (error) => {
    lost = error;
  });
  await client.connect();
  try {
    const { rows } = (await client
      .query(
        `BEGIN; SET LOCAL idle_in_transaction_session_timeout = 0; SELECT pg_try_advisory_xact_lock(hashtextextended(${uuidLiteral(tenantId)}, 4712)) AS mine`,
      )
      .then((results) => (results as unknown as pg.QueryResult<{ mine: boolean }>[])[2])) as pg.QueryResult<{ mine: boolean }>;
    if (!rows[0]?.mine) return null;
    const result = await work();
    if (lost) throw lost;
    return { result };
  } finally {
    await client.end();
  }
}
