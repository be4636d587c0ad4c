import pg from 'pg';
import type { PlaceContext } from '../place-context.js';
import { uuidLiteral } from '../sql.js';

/** How often it is asked whether the other side is there, and after how long without an answer it is taken for dead. */
const heartbeatMs = 3_000;
const silenceMs = 10_000;

/**
 * Nobody else works at the tenant's move meanwhile, not even a process that was believed dead. Null where somebody does. The lock goes with
 * its transaction, so that it holds behind a pooler too. Where it is lost, so are the work's own sessions: it ends with the error of the
 * query that it was at.
 */
export async function alone<T>(
  context: PlaceContext,
  tenantId: string,
  work: (context: PlaceContext) => Promise<T>,
): Promise<{ result: T } | null> {
  const client = new pg.Client({
    connectionString: context.url,
    connectionTimeoutMillis: 10_000,
    query_timeout: silenceMs,
    application_name: 'tenantry-move',
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
  });
  const lost = new AbortController();
  const lose = (error: Error) => lost.abort(new Error('The connection closed that held the lock of the move', { cause: error }));
  client.on('error', lose);
  client.on('end', () => lose(new Error('It has ended')));
  await client.connect();
  let heart: NodeJS.Timeout | undefined;
  try {
    const { rows } = (await client
      .query(
        `BEGIN; SET LOCAL idle_in_transaction_session_timeout = 0; SELECT pg_try_advisory_xact_lock(hashtextextended(${uuidLiteral(tenantId)}, 4712)) AS mine`,
      )
      .then((results) => (results as unknown as pg.QueryResult<{ mine: boolean }>[])[2])) as pg.QueryResult<{ mine: boolean }>;
    if (!rows[0]?.mine) return null;
    heart = setInterval(() => void client.query('SELECT').catch(lose), heartbeatMs);
    const result = await work({ ...context, signal: lost.signal });
    lost.signal.throwIfAborted();
    return { result };
  } catch (error) {
    lost.signal.throwIfAborted();
    throw error;
  } finally {
    clearInterval(heart);
    await client.end();
  }
}
