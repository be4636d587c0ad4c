import pg from 'pg';
import type { AppSessions } from './app-sessions.js';
import type { LoginKeys } from './login-secret.js';

/** What makes and removes places: provisioning's login, which may make roles and databases and act as the owner. */
export interface PlaceContext {
  /** Of the control-plane database. */
  pool: pg.Pool;
  /** What the pool connects with; other databases of the server are reached with the same login; other servers with one of their own. */
  url: string;
  keys: LoginKeys;
  /** Ends the sessions of work that must not go on. */
  signal?: AbortSignal;
}

/** What fills the product's schemas of new places, too. */
export interface AppContext extends PlaceContext {
  app: AppSessions;
}

/**
 * Several statements in one message, in one transaction. Where it fails the connection is clean again. Whatever the server's default is,
 * each statement sees what was committed before it: who looks at a gate must not see it as it was before it waited for its lock.
 */
export async function inOneMessage(client: pg.ClientBase, statements: string): Promise<pg.QueryResult[]> {
  try {
    // Of several statements pg answers a list of results, which its types do not say.
    return (await client.query(`BEGIN ISOLATION LEVEL READ COMMITTED; ${statements}; COMMIT`)) as unknown as pg.QueryResult[];
  } catch (error) {
    // On a broken connection there is nothing to roll back, and the first error is the one that says why.
    await client.query('ROLLBACK').catch(() => undefined);
    throw error;
  }
}

/** A connection that breaks during a query rejects the query, and says it by an event too, which must not end the process. */
export const reportedByQuery = () => undefined;

export async function onPool<T>(pool: pg.Pool, work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  client.on('error', reportedByQuery);
  let failed: Error | undefined;
  try {
    return await work(client);
  } catch (error) {
    // A server's refusal leaves the connection usable; anything else may not.
    if (!(error instanceof pg.DatabaseError && error.severity === 'ERROR')) failed = error as Error;
    throw error;
  } finally {
    client.off('error', reportedByQuery);
    client.release(failed);
  }
}
