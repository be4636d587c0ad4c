import { identifier } from './sql.js';
import type { TenantTransaction } from './tenants.js';

/** Bytes that a tenant takes in its database: its schemas with their indexes, or of shared tables its rows. Reads all of a shared tenant's rows. */
export const databaseBytes = ({ client, placement }: TenantTransaction): Promise<number> =>
  placement.isolation === 'shared' ? ofRows(client, schemasOf(placement)) : ofSchemas(client, schemasOf(placement));

type Client = TenantTransaction['client'];
const schemasOf = ({ schema, appSchema }: TenantTransaction['placement']) => [schema, appSchema];

async function ofSchemas(client: Client, schemas: string[]): Promise<number> {
  const { rows } = await client.query<{ bytes: string }>(
    `SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0) AS bytes
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = ANY($1) AND c.relkind IN ('r', 'm')`,
    [schemas],
  );
  return Number(rows[0]?.bytes ?? 0);
}

/** Row-level security leaves the tenant's own rows of each table. */
async function ofRows(client: Client, schemas: string[]): Promise<number> {
  const { rows: tables } = await client.query<{ schema: string; name: string }>(
    `SELECT n.nspname AS schema, c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped
     WHERE n.nspname = ANY($1) AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND has_table_privilege(c.oid, 'SELECT')`,
    [schemas],
  );
  if (tables.length === 0) return 0;
  const sizes = tables.map(
    ({ schema, name }) => `SELECT coalesce(sum(pg_column_size(t.*)), 0) AS bytes FROM ${identifier(schema)}.${identifier(name)} t`,
  );
  const { rows } = await client.query<{ bytes: string }>(`SELECT sum(bytes) AS bytes FROM (${sizes.join(' UNION ALL ')}) AS sizes`);
  return Number(rows[0]?.bytes ?? 0);
}
