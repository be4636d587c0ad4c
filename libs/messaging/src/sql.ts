import { isTransient as connectionFailed } from '@tenantry/event-store/adapters/postgres/transient';
import type { ClientBase, QueryConfig, QueryResult } from 'pg';

/** Names of schemas come from configuration, never from a request; what isn't a plain name is refused all the same. */
export function schemaName(schema: string): string {
  if (!/^[a-z_][a-z0-9_]*$/.test(schema)) throw new Error(`Not a schema's name: ${schema}`);
  return schema;
}

/** Whether statements may be sent before the ones before them are answered. */
export const pipelines = (client: ClientBase): boolean => (client as ClientBase & { pipeline?: boolean }).pipeline === true;

/** Runs statements in their order; without waiting in between where the connection pipelines. Rejects with the first error. */
export async function runAll(client: ClientBase, statements: QueryConfig[]): Promise<QueryResult[]> {
  const results: QueryResult[] = [];
  if (!pipelines(client)) {
    for (const statement of statements) results.push(await client.query(statement));
    return results;
  }
  const settled = await Promise.allSettled(statements.map((statement) => client.query(statement)));
  for (const result of settled) {
    if (result.status === 'rejected') throw result.reason;
    results.push(result.value);
  }
  return results;
}

/** Errors of the moment: the server is away, out of connections or restarting, a lock or a transaction was lost, the place is closed. Nothing is wrong with the rows. */
export function isTransient(error: unknown): boolean {
  if (connectionFailed(error)) return true;
  const { code, message, cause } = error as { code?: unknown; message?: string; cause?: unknown };
  if (message?.startsWith('Failed query:') && cause instanceof Error) return isTransient(cause);
  if (typeof code === 'string') {
    if (/^(08|40|53|55|57)[0-9A-Z]{3}$/.test(code) || code === '25P03') return true;
    if (
      code === 'placement.closed' ||
      code === 'placement.unavailable' ||
      code === 'placement.busy' ||
      code === 'tenant.busy' ||
      code === 'service.unavailable' ||
      code === 'service.timeout'
    )
      return true;
  }
  return /not queryable|Query read timeout/i.test(message ?? '');
}
