import pg from 'pg';
import { appLedger, stepsForNew } from './blueprints.js';
import { scriptFor, stampedVersion } from './compile.js';
import { compiledScript } from './compiled.js';
import { createElsewhere, dropElsewhere } from './dedicated-elsewhere.js';
import { copyLedger, fillApp, readLedger } from './fill-app.js';
import { newPassword, openLogin, sealLogin, urlFor } from './login-secret.js';
import { deletesOf } from './move/tables.js';
import { BLUEPRINT_LOGIN, BUCKET, CONTROL_PLANE_DATABASE, OWNER, SHARED_APP_SCHEMA, SHARED_ROLE } from './names.js';
import { type AppContext, inOneMessage, onPool, type PlaceContext, reportedByQuery } from './place-context.js';
import type { Placement } from './placement.js';
import { forgetPlacement, isReady, isSaved, namesOf, openGate, savePlacement } from './placement-rows.js';
import { scramVerifier } from './scram.js';
import { DEFAULT_SERVER, isControlPlane, onServer, serverUrl } from './servers.js';
import { createSharedElsewhere, dropSharedElsewhere } from './shared-elsewhere.js';
import { identifier, integer, literal, objectExists, sqlState, uuidLiteral } from './sql.js';
import { prepareRoles } from './tenant-roles.js';
import { databaseFiles, databaseGrants, recordDatabaseFiles, versionIn } from './tenant-upgrade.js';

/**
 * Makes the tenant's place and opens its gate; the placement is `ready` afterwards.
 * `created` is false where all of it was there already and is this tenant's: may be repeated at will, at the same time too.
 * @throws Error where the names are taken by something that is not this placement's
 */
export async function createPlace(context: AppContext, placement: Placement): Promise<{ created: boolean }> {
  const { isolation } = placement;
  if (isolation === 'isolated') return createIsolated(context, placement);
  if (isolation === 'shared')
    return isControlPlane(placement) ? createShared(context, placement) : createSharedElsewhere(context, placement);
  return isControlPlane(placement) ? createDedicated(context, placement) : createElsewhere(context, placement);
}

/** Removes the place with everything in it, and the placement. May be repeated; what is not there is no error. */
export async function dropPlace(context: PlaceContext, placement: Placement): Promise<void> {
  const { isolation } = placement;
  if (isolation === 'isolated') await dropIsolated(context, placement);
  else if (isolation === 'shared')
    await (isControlPlane(placement) ? dropShared(context, placement) : dropSharedElsewhere(context, placement));
  else await (isControlPlane(placement) ? dropDedicated(context, placement) : dropElsewhere(context, placement));
}

async function createShared(context: AppContext, placement: Placement): Promise<{ created: boolean }> {
  const { pool } = context;
  const known = await isReady(pool, placement);
  if (!known) await fillShared(context);
  if (!known) await onPool(pool, (client) => inOneMessage(client, `${openGate(placement)} ${savePlacement(placement, true)}`));
  return { created: !known };
}

/** What no shared tenant needed so far: a blueprint that app_shared has in no version yet. Later versions are for campaigns. */
async function fillShared(context: AppContext): Promise<void> {
  const { pool } = context;
  const versions = async () => (await appLedger(pool, [SHARED_APP_SCHEMA])).get(SHARED_APP_SCHEMA)!;
  const [steps, has] = await Promise.all([stepsForNew(pool, true), versions()]);
  const missing = steps.filter(({ blueprint }) => !has.has(blueprint));
  const place = { appSchema: SHARED_APP_SCHEMA, role: SHARED_ROLE, tenantId: null };
  await fillApp(context, { ...place, server: DEFAULT_SERVER, database: CONTROL_PLANE_DATABASE }, missing, versions);
}

async function dropShared({ pool }: PlaceContext, placement: Placement): Promise<void> {
  // Rows of the shared tables go too: in the tenant's own context, as any of its transactions.
  const deletes = await deletesOf(pool, placement);
  await onPool(pool, (client) =>
    inOneMessage(
      client,
      // Alone: a transaction of the tenant that has begun would leave rows behind.
      `SET LOCAL lock_timeout = '5s'; SELECT pg_advisory_xact_lock(tenancy.tenant_lock(${uuidLiteral(placement.tenantId)}));
       ${forgetPlacement(placement)} SET LOCAL ROLE ${identifier(placement.role)};
       SET LOCAL app.tenant_id = ${uuidLiteral(placement.tenantId)}; SET CONSTRAINTS ALL DEFERRED; ${deletes}`,
    ),
  );
}

/** Role, schemas, tables, rights, gate and placement: one transaction in one message. @param isWhole the product's schema stays empty */
export function dedicatedScript(placement: Placement, compiled: string, isWhole = true): string {
  return `SELECT tenancy.take_role(${literal(placement.role)}) AS spare;
${scriptFor(compiled, namesOf(placement))}
${isWhole ? openGate(placement) : ''} ${savePlacement(placement, isWhole, null, stampedVersion(compiled))}`;
}

async function createDedicated(context: AppContext, placement: Placement): Promise<{ created: boolean }> {
  const { pool } = context;
  const [compiled, app] = await Promise.all([compiledScript(), stepsForNew(pool, false)]);
  const script = dedicatedScript(placement, compiled, app.length === 0);
  try {
    const results = await onPool(pool, (client) => inOneMessage(client, script));
    // The second result is take_role's: BEGIN is the first.
    const { spare } = results[1]!.rows[0] as { spare: number };
    await prepareRoles(pool, BUCKET, spare);
  } catch (error) {
    if (!objectExists(error)) throw error;
    // It is one transaction, so it is whole or was never there: mine, or somebody else's under that name.
    const isThere = await isSaved(pool, placement);
    if (isThere === 'ready') return { created: false };
    if (isThere === null)
      throw new Error(`The role ${placement.role} or the schema ${placement.schema} exists, but is not this placement's`, { cause: error });
  }
  if (app.length === 0) return { created: true };
  await fillApp(context, placement, app, async () => (await appLedger(pool, [placement.appSchema])).get(placement.appSchema)!);
  const ready = `UPDATE tenancy.placements SET ready = true, updated_at = now()
    WHERE tenant_id = ${uuidLiteral(placement.tenantId)} AND generation = ${integer(placement.generation)}`;
  await onPool(pool, (client) => inOneMessage(client, `${openGate(placement)} ${ready}`));
  return { created: true };
}

async function dropDedicated({ pool }: PlaceContext, placement: Placement): Promise<void> {
  await onPool(pool, (client) =>
    inOneMessage(
      client,
      `SET LOCAL lock_timeout = '5s'; ${forgetPlacement(placement)} SET LOCAL ROLE ${OWNER};
       DROP SCHEMA IF EXISTS ${identifier(placement.appSchema)}, ${identifier(placement.schema)} CASCADE;
       DELETE FROM tenancy.app_ledger WHERE app_schema = ${literal(placement.appSchema)};
       RESET ROLE; DROP ROLE IF EXISTS ${identifier(placement.role)}`,
    ),
  );
}

/**
 * Login, database, then everything inside it in one transaction, then `ready`. CREATE DATABASE cannot be part of a transaction,
 * so each of the four may have been done before: each is repeated or found.
 */
async function createIsolated(context: AppContext, placement: Placement): Promise<{ created: boolean }> {
  const { pool } = context;
  if (await isReady(pool, placement)) return { created: false };
  await createLogin(context, placement);
  await createDatabase(context, placement);
  const schemaVersion = await fillDatabase(context, placement, openGate(placement));
  const { appSchema } = placement;
  const versions = () => onOwnDatabase(context, placement, async (client) => (await readLedger(client, placement)).get(appSchema)!);
  await fillApp(context, placement, await stepsForNew(pool, false), versions);
  await copyLedger(pool, placement, await versions());
  await pool.query(
    'UPDATE tenancy.placements SET ready = true, schema_version = $3, updated_at = now() WHERE tenant_id = $1 AND generation = $2',
    [placement.tenantId, placement.generation, schemaVersion],
  );
  return { created: true };
}

/** The login and its encrypted password commit together, so that neither exists without the other. */
async function createLogin(context: PlaceContext, placement: Placement): Promise<void> {
  const { pool, keys } = context;
  if (placement.server !== DEFAULT_SERVER) {
    await onPool(pool, (client) => inOneMessage(client, savePlacement(placement, false)));
    return makeLogin(context, placement);
  }
  const password = newPassword();
  const secret = await sealLogin(keys, placement.tenantId, password);
  const role = identifier(placement.role);
  const create = literal(`CREATE ROLE ${role} LOGIN PASSWORD ${literal(scramVerifier(password))}`);
  await onPool(pool, (client) =>
    inOneMessage(
      client,
      // The placement's row is locked from here on: of two at the same time, the second finds the role.
      `${savePlacement(placement, false, secret)};
       DO $do$ BEGIN
         IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = ${literal(placement.role)}) THEN
           UPDATE tenancy.placements SET login_secret = ${literal(secret)} WHERE tenant_id = ${uuidLiteral(placement.tenantId)};
           EXECUTE ${create};
         ELSIF (SELECT login_secret IS NOT DISTINCT FROM ${literal(secret)} FROM tenancy.placements WHERE tenant_id = ${uuidLiteral(placement.tenantId)}) THEN
           RAISE duplicate_object USING MESSAGE = 'the login exists, but is not this placement''s';
         END IF;
       END $do$`,
    ),
  );
}

/**
 * The tenant's role may log in on the placement's server. The password was settled before, beside the placement, and is the same on every
 * server that it comes to: it may be made again at will.
 */
export async function makeLogin(context: PlaceContext, { tenantId, role, server }: Placement): Promise<void> {
  const { pool, keys } = context;
  const { rows } = await pool.query<{ login_secret: string }>(
    'UPDATE tenancy.placements SET login_secret = coalesce(login_secret, $2) WHERE tenant_id = $1 RETURNING login_secret',
    [tenantId, await sealLogin(keys, tenantId, newPassword())],
  );
  if (!rows[0]) throw new Error(`The tenant ${tenantId} has no placement`);
  const rights = `LOGIN PASSWORD ${literal(scramVerifier(await openLogin(keys, tenantId, rows[0].login_secret)))}`;
  await onServer(context, server, (client) =>
    inOneMessage(
      client,
      // One at a time: of two that make or change one role at once, PostgreSQL refuses the second.
      `SELECT pg_advisory_xact_lock(hashtextextended(${literal(role)}, 4714));
       DO $do$ BEGIN
         IF EXISTS (SELECT FROM pg_roles WHERE rolname = ${literal(role)}) THEN EXECUTE ${literal(`ALTER ROLE ${identifier(role)} ${rights}`)};
         ELSE EXECUTE ${literal(`CREATE ROLE ${identifier(role)} ${rights}`)}; END IF;
       END $do$`,
    ),
  );
}

export async function createDatabase(context: PlaceContext, { server, database }: Pick<Placement, 'server' | 'database'>): Promise<void> {
  await onServer(context, server, async (client) => {
    const { rows } = await client.query<{ broken: boolean }>('SELECT datconnlimit = -2 AS broken FROM pg_database WHERE datname = $1', [
      database,
    ]);
    // Left by a removal that was interrupted; it can only be removed.
    if (rows[0]?.broken) await client.query(`DROP DATABASE ${identifier(database)}`);
    if (rows[0] && !rows[0].broken) return;
    try {
      // template0: nobody is ever connected to it, and nothing local is in it.
      await client.query(`CREATE DATABASE ${identifier(database)} TEMPLATE template0 STRATEGY wal_log`);
    } catch (error) {
      if (!['42P04', '23505'].includes(sqlState(error) ?? '')) throw error;
    }
  });
}

/**
 * @param gate the statement that says who may come in
 * @returns the version that the schema says
 */
export async function fillDatabase(context: PlaceContext, placement: Placement, gate: string): Promise<string | null> {
  const [compiled, files] = await Promise.all([compiledScript(), databaseFiles()]);
  const database = identifier(placement.database);
  const role = identifier(placement.role);
  const fill = (client: pg.ClientBase) =>
    inOneMessage(
      client,
      `REVOKE ALL ON DATABASE ${database} FROM PUBLIC;
       GRANT CONNECT ON DATABASE ${database} TO ${role}, ${BLUEPRINT_LOGIN};
       GRANT CREATE ON DATABASE ${database} TO ${OWNER};
       REVOKE ALL ON SCHEMA public FROM PUBLIC;
       SET LOCAL ROLE ${OWNER};
       CREATE SCHEMA tenancy;
       ${files.map((file) => file.sql).join('\n')}
       ${databaseGrants(placement.role)}
       ${recordDatabaseFiles(files)}
       ${scriptFor(compiled, namesOf(placement))}
       ${gate}`,
    );
  return onOwnDatabase(context, placement, async (client) => {
    await fill(client).catch(async (error: unknown) => {
      // Filled by an earlier attempt, or by one at the same time (concurrent grants on one database collide with XX000).
      if (!objectExists(error) && sqlState(error) !== 'XX000') throw error;
      const { rowCount } = await client.query('SELECT FROM pg_namespace WHERE nspname = $1', [placement.schema]);
      if (rowCount !== 1) throw error;
    });
    return versionIn(client, placement.schema);
  });
}

async function onOwnDatabase<T>(
  context: PlaceContext,
  { server, database }: Placement,
  work: (client: pg.Client) => Promise<T>,
): Promise<T> {
  const client = new pg.Client({
    connectionString: urlFor(await serverUrl(context, server), database),
    connectionTimeoutMillis: 10_000,
  });
  client.on('error', reportedByQuery);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

async function dropIsolated(context: PlaceContext, placement: Placement): Promise<void> {
  await dropDatabase(context, placement, { withRole: true });
  const forgetVersions = `DELETE FROM tenancy.app_ledger WHERE app_schema = ${literal(placement.appSchema)};`;
  await onPool(context.pool, (client) => inOneMessage(client, `${forgetVersions} ${forgetPlacement(placement)}`));
}

/** An isolated tenant's database with everything in it, whoever is connected. @param withRole its login goes too; else it is kept, unable to log in */
export async function dropDatabase(context: PlaceContext, place: Placement, { withRole }: { withRole: boolean }): Promise<void> {
  const role = identifier(place.role);
  await onServer(context, place.server, async (client) => {
    await inOneMessage(
      client,
      // No new connection; and who holds the role's rights may end its sessions, which dropping by force does.
      `DO $do$ BEGIN
         IF EXISTS (SELECT FROM pg_roles WHERE rolname = ${literal(place.role)}) THEN
           ALTER ROLE ${role} NOLOGIN PASSWORD NULL;
           EXECUTE format('GRANT %I TO %I WITH INHERIT TRUE', ${literal(place.role)}, session_user);
         END IF;
       END $do$`,
    );
    await client.query(`DROP DATABASE IF EXISTS ${identifier(place.database)} WITH (FORCE)`);
    await inOneMessage(
      client,
      withRole
        ? `DROP ROLE IF EXISTS ${role}`
        : `DO $do$ BEGIN
             IF EXISTS (SELECT FROM pg_roles WHERE rolname = ${literal(place.role)}) THEN
               EXECUTE format('REVOKE %I FROM %I', ${literal(place.role)}, session_user);
             END IF;
           END $do$`,
    );
  });
}
