import type { Client } from 'pg';
import { scriptFor } from '../compile.js';
import { compiledScript } from '../compiled.js';
import { OWNER } from '../names.js';
import { inOneMessage, type PlaceContext } from '../place-context.js';
import type { Placement } from '../placement.js';
import { namesOf } from '../placement-rows.js';
import { createDatabase, dropDatabase, fillDatabase, makeLogin } from '../provision-schema.js';
import { giveBackRoom } from '../server-rooms.js';
import { bucketOf, isControlPlane, loginOf, sameDatabase } from '../servers.js';
import { identifier, integer, literal, uuidLiteral } from '../sql.js';
import { dropRole, leaveBucket, makeRole } from '../tenant-roles.js';
import { databaseFiles, upgradeDatabase } from '../tenant-upgrade.js';
import { openGateSql } from './gate.js';
import { asOwner, type Move, onDatabase } from './side.js';
import { deletesOf } from './tables.js';

/**
 * Makes the target: role, schemas, the platform's tables, a closed gate where its database has none of the tenant. The placement still says
 * the source. Each part may be there already.
 */
export async function makePlace(context: PlaceContext, to: Placement, from: Placement): Promise<void> {
  if (to.isolation === 'isolated') {
    await makeLogin(context, to);
    await createDatabase(context, to);
    // The product's schema is copied, and with it the versions that it has.
    await fillDatabase(context, to, `${openGateSql(to, 'closed')};`);
    return;
  }
  const closed = sameDatabase(to, from) ? '' : `${openGateSql(to, 'closed')};`;
  if (to.isolation === 'shared') {
    if (closed) await onDatabase(context, to, (client) => inOneMessage(client, `SET LOCAL ROLE ${OWNER}; ${closed} RESET ROLE`));
    return;
  }
  await makeRole(context, to);
  const compiled = await compiledScript();
  await onDatabase(context, to, async (client) => {
    const { rowCount } = await client.query('SELECT FROM pg_namespace WHERE nspname = $1', [to.schema]);
    const script = rowCount === 0 ? scriptFor(compiled, namesOf(to)) : '';
    await inOneMessage(client, `${script} SET LOCAL ROLE ${OWNER}; ${closed} RESET ROLE`);
  });
}

/**
 * A place that an earlier release made, for a move that began then or to go back to, is in a database that the upgrade does not look for: no
 * tenant lives there. What rows are put in with comes with this release.
 */
export async function upgradePlace(context: PlaceContext, place: Placement): Promise<void> {
  if (isControlPlane(place)) return;
  const files = await databaseFiles();
  await onDatabase(context, place, (client) => upgradeDatabase(client, files, loginOf(place)));
}

/** The placement says the new place; of which version its tables are, the next upgrade looks up there. */
export const savedSql = ({ tenantId, isolation, server, database, schema, appSchema, role, generation }: Placement) =>
  `UPDATE tenancy.placements SET isolation = ${literal(isolation)}, server = ${literal(server)}, database = ${literal(database)},
      schema = ${literal(schema)}, app_schema = ${literal(appSchema)}, role = ${literal(role)}, generation = ${integer(generation)},
      ready = true, schema_version = NULL, next = NULL, updated_at = now(),
      left_shared_at = CASE WHEN isolation = 'shared' AND ${literal(isolation)} <> 'shared' THEN clock_timestamp() ELSE left_shared_at END
    WHERE tenant_id = ${uuidLiteral(tenantId)} AND generation < ${integer(generation)}`;

export async function savePlaced({ pool }: PlaceContext, place: Placement): Promise<void> {
  await pool.query(savedSql(place));
}

/** Where the tenant goes next, for whoever is refused where it was. @param next null: nowhere */
export async function announce({ pool }: PlaceContext, { tenantId, generation }: Placement, next: Placement | null): Promise<void> {
  const place = next && {
    ...{ isolation: next.isolation, server: next.server, database: next.database, schema: next.schema },
    ...{ app_schema: next.appSchema, role: next.role, generation: next.generation },
  };
  await pool.query('UPDATE tenancy.placements SET next = $3 WHERE tenant_id = $1 AND generation = $2', [
    tenantId,
    generation,
    place && JSON.stringify(place),
  ]);
}

/** Which versions of the product a place has, as its own database says. */
export interface AppVersion {
  blueprint: string;
  version: number;
  checksum: string;
}

export const ledgerSql = (appSchema: string) =>
  `SELECT blueprint, version, checksum FROM tenancy.app_ledger WHERE app_schema = ${literal(appSchema)} ORDER BY blueprint, version`;

export async function readVersions(client: Client, place: Placement): Promise<AppVersion[]> {
  const { rows } = await asOwner(client, place, () => client.query<AppVersion>(ledgerSql(place.appSchema)));
  return rows;
}

const insertVersions =
  'INSERT INTO tenancy.app_ledger (app_schema, blueprint, version, checksum) SELECT $1, * FROM unnest($2::text[], $3::int[], $4::text[]) ON CONFLICT DO NOTHING';
const valuesOf = ({ appSchema }: Placement, versions: readonly AppVersion[]) => [
  appSchema,
  versions.map(({ blueprint }) => blueprint),
  versions.map(({ version }) => version),
  versions.map(({ checksum }) => checksum),
];

/** The copy of the product's schema has the versions that the original has, and no others; shared tables have versions of their own. */
export async function copyVersions(
  context: PlaceContext,
  { from, to }: Move,
  target: Client,
  versions: readonly AppVersion[],
): Promise<void> {
  if (to.isolation === 'shared') return;
  await asOwner(target, to, async () => {
    if (!sameDatabase(from, to) || from.appSchema !== to.appSchema)
      await target.query('DELETE FROM tenancy.app_ledger WHERE app_schema = $1', [to.appSchema]);
    await target.query(insertVersions, valuesOf(to, versions));
  });
  await mirrorVersions(context, to, versions);
}

/** What campaigns are planned with. */
export async function mirrorVersions({ pool }: PlaceContext, to: Placement, versions: readonly AppVersion[]): Promise<void> {
  if (!isControlPlane(to)) await pool.query(insertVersions, valuesOf(to, versions));
}

/** Where the tenant lives, as the placement says. */
export async function generationOf({ pool }: PlaceContext, tenantId: string): Promise<number> {
  const { rows } = await pool.query<{ generation: string }>('SELECT generation FROM tenancy.placements WHERE tenant_id = $1', [tenantId]);
  return Number(rows[0]?.generation ?? 0);
}

/** Removes a place that is not the tenant's any more, or never became it. What the place where it lives needs stays: role, login, gate. */
export async function removePlace(context: PlaceContext, gone: Placement, stays: Placement): Promise<void> {
  await remove(context, gone, stays);
  await giveBackRoom(context.pool, gone, stays);
}

async function remove(context: PlaceContext, gone: Placement, stays: Placement): Promise<void> {
  const { pool } = context;
  const lastRole = gone.role !== stays.role || gone.server !== stays.server;
  if (gone.isolation !== 'shared' && gone.appSchema !== stays.appSchema)
    await pool.query('DELETE FROM tenancy.app_ledger WHERE app_schema = $1', [gone.appSchema]);
  if (gone.isolation === 'isolated') {
    if (stays.isolation !== 'isolated')
      await pool.query('UPDATE tenancy.placements SET login_secret = NULL WHERE tenant_id = $1', [gone.tenantId]);
    await dropDatabase(context, gone, { withRole: lastRole });
    return;
  }
  await onDatabase(context, gone, async (client) => {
    // The control plane's ledger is the copy for plans too, wherever the tenant lives.
    if (gone.isolation === 'shared') await inOneMessage(client, await deleteRows(client, gone));
    else
      await inOneMessage(
        client,
        `SET LOCAL lock_timeout = '5s'; SET LOCAL ROLE ${OWNER};
         DROP SCHEMA IF EXISTS ${identifier(gone.appSchema)}, ${identifier(gone.schema)} CASCADE;
         ${isControlPlane(gone) ? '' : `DELETE FROM tenancy.app_ledger WHERE app_schema = ${literal(gone.appSchema)};`} RESET ROLE`,
      );
    // The gate of a place that was left says the generation of the next.
    if (!sameDatabase(gone, stays))
      await inOneMessage(
        client,
        `SET LOCAL ROLE ${OWNER}; DELETE FROM tenancy.tenant_gate WHERE tenant_id = ${uuidLiteral(gone.tenantId)}
         AND generation <= ${integer(gone.generation + 1)}; RESET ROLE`,
      );
  });
  if (gone.isolation !== 'dedicated') return;
  if (lastRole) await dropRole(context, gone);
  else if (stays.isolation === 'isolated' || bucketOf(stays) !== bucketOf(gone)) await leaveBucket(context, gone);
}

/** Rows of the shared tables, in the tenant's own context. */
async function deleteRows(client: Client, place: Placement): Promise<string> {
  const deletes = await deletesOf(client, place);
  return `SET LOCAL ROLE ${identifier(place.role)}; SET LOCAL app.tenant_id = ${uuidLiteral(place.tenantId)}; SET CONSTRAINTS ALL DEFERRED; ${deletes} RESET ROLE`;
}
