import type { ClientBase, QueryConfig, QueryResult } from 'pg';

/** Names of schemas come from configuration, never from a request; what isn't a plain name is refused all the same. */
export function schemaName(schema: string): string {
  if (!/^[a-z_][a-z0-9_]*$/.test(schema)) throw new Error(`Not a schema's name: ${schema}`);
  return schema;
}

/** Runs statements in their order; without waiting in between where the connection pipelines. Rejects with the first error. */
export async function runAll(client: ClientBase, statements: QueryConfig[]): Promise<QueryResult[]> {
  const results: QueryResult[] = [];
  if (!(client as ClientBase & { pipeline?: boolean }).pipeline) {
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

/** Errors of the moment: the server is away, out of connections, restarting, or the transaction lost against another. Nothing is wrong with the rows. */
export function isTransient(error: unknown): boolean {
  if (error instanceof AggregateError) return error.errors.some(isTransient);
  const { code, message } = error as { code?: unknown; message?: string };
  if (typeof code === 'string') {
    if (/^(08|40|53|55|57)[0-9A-Z]{3}$/.test(code) || code === '25P03' || /^E[A-Z]+$/.test(code)) return true;
    if (code === 'placement.closed' || code === 'service.unavailable' || code === 'service.timeout') return true;
  }
  return /Connection terminated|timeout exceeded when trying to connect|not queryable|Query read timeout/i.test(message ?? '');
}
