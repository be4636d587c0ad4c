import { tenantKey } from '@tenantry/contracts/ids';
import type { ClientBase } from 'pg';
import { notesOfTenant } from './move/notes.js';
import { onDatabase } from './move/side.js';
import { OWNER, SHARED_APP_SCHEMA, SHARED_ROLE, SHARED_SCHEMA, sharedRole } from './names.js';
import { inOneMessage, type PlaceContext } from './place-context.js';
import type { Placement } from './placement.js';
import { DEFAULT_SERVER, onServer, sameDatabase } from './servers.js';
import { identifier, literal, uuidLiteral } from './sql.js';

type Where = Pick<Placement, 'isolation' | 'server' | 'database'>;

/**
 * How much is left of a tenant's places, whatever level it lived on: schemas, roles, databases, what is recorded of them, what moves have
 * noted, rows of the shared tables.
 * @param elsewhere where it has ever lived, other than in the control plane's database or in one of its own beside it
 */
export async function leftInPlace(context: PlaceContext, tenantId: string, elsewhere: readonly Where[]): Promise<number> {
  const { pool } = context;
  const key = tenantKey(tenantId);
  const { rows } = await pool.query<{ found: string }>(
    `SELECT (SELECT count(*) FROM pg_namespace WHERE nspname IN ($2, $3))
          + (SELECT count(*) FROM pg_roles WHERE rolname = $2)
          + (SELECT count(*) FROM pg_database WHERE datname = $4)
          + (SELECT count(*) FROM tenancy.placements WHERE tenant_id = $1)
          + (SELECT count(*) FROM tenancy.server_places WHERE tenant_id = $1)
          + (SELECT count(*) FROM tenancy.database_places WHERE tenant_id = $1)
          + (SELECT count(*) FROM tenancy.tenant_gate WHERE tenant_id = $1)
          + (SELECT count(*) FROM tenancy.app_ledger WHERE app_schema = $3)
          + ${notesLeft(tenantId)} AS found`,
    [tenantId, `t_${key}`, `app_${key}`, `tenantry_t_${key}`],
  );
  const servers = [...new Set(elsewhere.map(({ server }) => server))].filter((server) => server !== DEFAULT_SERVER);
  const left = (await onOtherServers(context, key, servers)) + (await inOtherDatabases(context, tenantId, elsewhere));
  const client = await pool.connect();
  try {
    return Number(rows[0]?.found) + (await sharedRows(client, tenantId, SHARED_ROLE)) + left;
  } finally {
    client.release();
  }
}

/** Where one of them does not answer, it can't be said that nothing is left. */
async function onOtherServers(context: PlaceContext, key: string, servers: readonly string[]): Promise<number> {
  const found = await Promise.all(
    servers.map((server) =>
      onServer(context, server, (client) =>
        client.query<{ found: string }>(
          `SELECT (SELECT count(*) FROM pg_roles WHERE rolname = $1) + (SELECT count(*) FROM pg_database WHERE datname = $2) AS found`,
          [`t_${key}`, `tenantry_t_${key}`],
        ),
      ),
    ),
  );
  return found.reduce((sum, { rows }) => sum + Number(rows[0]?.found), 0);
}

/** Schemas, what is recorded of them, and rows of shared tables, in databases that many tenants share. */
async function inOtherDatabases(context: PlaceContext, tenantId: string, places: readonly Where[]): Promise<number> {
  const key = tenantKey(tenantId);
  const found = await Promise.all(
    places
      .filter(({ isolation }) => isolation !== 'isolated')
      // He may have lived there at two levels.
      .filter((place, index, all) => all.findIndex((other) => sameDatabase(other, place)) === index)
      .map((place) =>
        onDatabase(context, place, async (client) => {
          const results = await inOneMessage(
            client,
            `SET LOCAL ROLE ${OWNER};
             SELECT (SELECT count(*) FROM pg_namespace WHERE nspname IN ('t_${key}', 'app_${key}'))
                  + (SELECT count(*) FROM tenancy.tenant_gate WHERE tenant_id = ${uuidLiteral(tenantId)})
                  + (SELECT count(*) FROM tenancy.app_ledger WHERE app_schema = 'app_${key}')
                  + ${notesLeft(tenantId)} AS found`,
          );
          return Number(results[2]?.rows[0]?.found) + (await sharedRows(client, tenantId, sharedRole(place.database)));
        }),
      ),
  );
  return found.reduce((sum, left) => sum + left, 0);
}

/** They hold keys of the tenant's rows. */
const notesLeft = (tenantId: string) =>
  `(SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = 'tenancy' AND c.relkind = 'r' AND starts_with(c.relname, ${literal(notesOfTenant(tenantId).tables)}))`;

/** In the tenant's own context, as any of its transactions; in one statement over all tables. */
async function sharedRows(client: ClientBase, tenantId: string, role: string): Promise<number> {
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
    await client.query(`BEGIN; SET LOCAL ROLE ${identifier(role)}; SET LOCAL app.tenant_id = ${id}`);
    const { rows } = await client.query<{ found: string }>(`SELECT ${counts.join(' + ')} AS found`);
    return Number(rows[0]?.found);
  } finally {
    await client.query('ROLLBACK');
  }
}
