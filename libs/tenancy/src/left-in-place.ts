import { tenantKey } from '@tenantry/contracts/ids';
import type { PoolClient } from 'pg';
import { SHARED_APP_SCHEMA, SHARED_ROLE, SHARED_SCHEMA } from './names.js';
import type { PlaceContext } from './provision-schema.js';
import { identifier, uuidLiteral } from './sql.js';

/** How much is left of a tenant's places on this server, whatever level it lived on: schemas, roles, databases, what is recorded of them, rows of the shared tables. */
export async function leftInPlace({ pool }: Pick<PlaceContext, 'pool'>, tenantId: string): Promise<number> {
  const key = tenantKey(tenantId);
  const { rows } = await pool.query<{ found: string }>(
    `SELECT (SELECT count(*) FROM pg_namespace WHERE nspname IN ($2, $3))
          + (SELECT count(*) FROM pg_roles WHERE rolname = $2)
          + (SELECT count(*) FROM pg_database WHERE datname = $4)
          + (SELECT count(*) FROM tenancy.placements WHERE tenant_id = $1)
          + (SELECT count(*) FROM tenancy.tenant_gate WHERE tenant_id = $1)
          + (SELECT count(*) FROM tenancy.app_ledger WHERE app_schema = $3) AS found`,
    [tenantId, `t_${key}`, `app_${key}`, `tenantry_t_${key}`],
  );
  const client = await pool.connect();
  try {
    return Number(rows[0]?.found) + (await sharedRows(client, tenantId));
  } finally {
    client.release();
  }
}

/** In the tenant's own context, as any of its transactions; in one statement over all tables. */
async function sharedRows(client: PoolClient, tenantId: string): Promise<number> {
  const { rows: tables } = await client.query<{ schema: string; name: string }>(
    `SELECT n.nspname AS schema, c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname IN ($1, $2) AND c.relkind IN ('r', 'p') AND NOT c.relispartition`,
    [SHARED_SCHEMA, SHARED_APP_SCHEMA],
  );
  if (tables.length === 0) return 0;
  const id = uuidLiteral(tenantId);
  const counts = tables.map(
    ({ schema, name }) => `(SELECT count(*) FROM ${identifier(schema)}.${identifier(name)} WHERE tenant_id = ${id})`,
  );
  try {
    await client.query(`BEGIN; SET LOCAL ROLE ${identifier(SHARED_ROLE)}; SET LOCAL app.tenant_id = ${id}`);
    const { rows } = await client.query<{ found: string }>(`SELECT ${counts.join(' + ')} AS found`);
    return Number(rows[0]?.found);
  } finally {
    await client.query('ROLLBACK');
  }
}
