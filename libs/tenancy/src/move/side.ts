import pg from 'pg';
import { urlFor } from '../login-secret.js';
import { OWNER } from '../names.js';
import type { PlaceContext } from '../place-context.js';
import type { Placement } from '../placement.js';
import { serverUrl } from '../servers.js';
import { identifier, uuidLiteral } from '../sql.js';

/** From where to where. The target's generation is above the source's. */
export interface Move {
  from: Placement;
  to: Placement;
}

/** A connection that breaks during a query rejects the query, and says it by an event too, which must not end the process. */
const reportedByQuery = () => undefined;

/** A session of its own on the place's database: work on it takes long, and pooled connections are for requests. */
export async function onDatabase<T>(
  context: PlaceContext,
  { server, database }: Pick<Placement, 'server' | 'database'>,
  work: (client: pg.Client) => Promise<T>,
): Promise<T> {
  const client = new pg.Client({
    connectionString: urlFor(await serverUrl(context, server), database),
    connectionTimeoutMillis: 10_000,
    application_name: 'tenantry-move',
    keepAlive: true,
    // The system would ask after two hours whether the other side is there: for so long a gate could stay closed.
    keepAliveInitialDelayMillis: 10_000,
  });
  client.on('error', reportedByQuery);
  context.signal?.throwIfAborted();
  // With a query at work this breaks the connection.
  const stop = () => void client.end();
  context.signal?.addEventListener('abort', stop);
  try {
    await client.connect();
    return await work(client);
  } finally {
    context.signal?.removeEventListener('abort', stop);
    await client.end();
  }
}

/** Two sessions, one on either side; of the same database where both places are in it. */
export const onBoth = <T>(
  context: PlaceContext,
  { from, to }: Move,
  work: (source: pg.Client, target: pg.Client) => Promise<T>,
): Promise<T> => onDatabase(context, from, (source) => onDatabase(context, to, (target) => work(source, target)));

/**
 * A transaction as the owner in the tenant's context: row-level security holds for the owner too, so that shared tables show this tenant's
 * rows alone. Values as text are the same on both sides. @param snapshot everything is read as of one instant, nothing is written
 */
export async function asOwner<T>(
  client: pg.ClientBase,
  { tenantId }: Pick<Placement, 'tenantId'>,
  work: () => Promise<T>,
  { snapshot = false, path = 'pg_catalog', lockTimeoutMs = 0 }: { snapshot?: boolean; path?: string; lockTimeoutMs?: number } = {},
): Promise<T> {
  await client.query(
    `BEGIN${snapshot ? ' ISOLATION LEVEL REPEATABLE READ READ ONLY' : ''}; SET LOCAL ROLE ${OWNER};
     SET LOCAL app.tenant_id = ${uuidLiteral(tenantId)}; SET LOCAL search_path = ${identifier(path)};
     SET LOCAL DateStyle = 'ISO, YMD'; SET LOCAL IntervalStyle = 'postgres'; SET LOCAL TimeZone = 'UTC';
     SET LOCAL lock_timeout = ${lockTimeoutMs}; SET LOCAL statement_timeout = 0`,
  );
  try {
    const result = await work();
    await client.query('COMMIT');
    return result;
  } catch (error) {
    // On a broken connection there is nothing to roll back, and the first error is the one that says why.
    await client.query('ROLLBACK').catch(() => undefined);
    throw error;
  }
}

export const inSchema = (schema: string, name: string): string => `${identifier(schema)}.${identifier(name)}`;
