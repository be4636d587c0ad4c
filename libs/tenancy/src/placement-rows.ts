import type pg from 'pg';
import { OWNER } from './names.js';
import type { Placement } from './placement.js';
import { integer, literal, uuidLiteral } from './sql.js';

/** A new place: whoever knows its generation comes in. */
export const openGate = ({ tenantId, generation }: Placement) =>
  `INSERT INTO tenancy.tenant_gate (tenant_id, generation) VALUES (${uuidLiteral(tenantId)}, ${integer(generation)})
   ON CONFLICT (tenant_id) DO UPDATE SET generation = excluded.generation, state = 'open'
   WHERE tenant_gate.generation < excluded.generation;`;

const orNull = (text: string | null) => (text === null ? 'NULL' : literal(text));

/** Where the tenant lives, and the room that this takes. */
export function savePlacement(
  placement: Placement,
  ready: boolean,
  loginSecret: string | null = null,
  schemaVersion: string | null = null,
): string {
  const { tenantId, isolation, server, database, schema, appSchema, role, generation, workerGroup } = placement;
  const texts = [isolation, server, database, schema, appSchema, role].map(literal).join(', ');
  // An older generation never takes the place of a newer; a secret that exists stays: the login has that password.
  return `INSERT INTO tenancy.placements AS p (tenant_id, isolation, server, database, schema, app_schema, role, generation, worker_group, ready, login_secret, schema_version)
   VALUES (${uuidLiteral(tenantId)}, ${texts}, ${integer(generation)}, ${literal(workerGroup)}, ${ready}, ${orNull(loginSecret)}, ${orNull(schemaVersion)})
   ON CONFLICT (tenant_id) DO UPDATE SET isolation = excluded.isolation, server = excluded.server, database = excluded.database,
     schema = excluded.schema, app_schema = excluded.app_schema, role = excluded.role, generation = excluded.generation,
     worker_group = excluded.worker_group, ready = p.ready AND p.generation = excluded.generation OR excluded.ready,
     login_secret = coalesce(p.login_secret, excluded.login_secret), schema_version = excluded.schema_version, updated_at = now()
   WHERE p.generation <= excluded.generation;
   INSERT INTO tenancy.server_places (tenant_id, server) VALUES (${uuidLiteral(tenantId)}, ${literal(server)}) ON CONFLICT DO NOTHING
   ${isolation === 'isolated' ? '' : `; INSERT INTO tenancy.database_places (tenant_id, server, database) VALUES (${uuidLiteral(tenantId)}, ${literal(server)}, ${literal(database)}) ON CONFLICT DO NOTHING`}`;
}

export const forgetPlacement = ({ tenantId, generation, server, database }: Placement) =>
  `DELETE FROM tenancy.tenant_gate WHERE tenant_id = ${uuidLiteral(tenantId)} AND generation <= ${integer(generation)};
   DELETE FROM tenancy.placements WHERE tenant_id = ${uuidLiteral(tenantId)} AND generation <= ${integer(generation)};
   DELETE FROM tenancy.server_places WHERE tenant_id = ${uuidLiteral(tenantId)} AND server = ${literal(server)};
   DELETE FROM tenancy.database_places WHERE tenant_id = ${uuidLiteral(tenantId)} AND server = ${literal(server)} AND database = ${literal(database)};`;

export const isReady = async (pool: pg.Pool, placement: Placement): Promise<boolean> => (await isSaved(pool, placement)) === 'ready';

/** Null where there is no such placement, or another one. */
export async function isSaved(
  pool: pg.Pool,
  { tenantId, schema, server, database, generation }: Placement,
): Promise<'ready' | 'begun' | null> {
  const { rows } = await pool.query<{ ready: boolean }>(
    'SELECT ready FROM tenancy.placements WHERE tenant_id = $1 AND schema = $2 AND server = $3 AND database = $4 AND generation = $5',
    [tenantId, schema, server, database, generation],
  );
  return rows[0] ? (rows[0].ready ? 'ready' : 'begun') : null;
}

export const namesOf = ({ schema, appSchema, role }: Placement) => ({ schema, appSchema, role, owner: OWNER });
