import { setTimeout as sleep } from 'node:timers/promises';
import { DomainError } from '@tenantry/contracts/errors';
import type { ClientBase, Pool } from 'pg';
import { type AppVersions, stepsForNew } from './blueprints.js';
import { scriptFor } from './compile.js';
import { compiledScript } from './compiled.js';
import { fillApp, readLedger } from './fill-app.js';
import { onDatabase } from './move/side.js';
import { deletesOf } from './move/tables.js';
import { OWNER, SHARED_APP_SCHEMA, SHARED_SCHEMA, sharedRole } from './names.js';
import { type AppContext, inOneMessage, onPool, type PlaceContext } from './place-context.js';
import type { Placement } from './placement.js';
import { forgetPlacement, isReady, openGate, savePlacement } from './placement-rows.js';
import { oneRegistration } from './register-server.js';
import { onServer } from './servers.js';
import { identifier, integer, literal, sqlState, uuidLiteral } from './sql.js';
import { type OwnVersions, upgradeScript, versionIn } from './tenant-upgrade.js';

type Where = Pick<Placement, 'server' | 'database'>;

const LOCK_TIMEOUT_MS = 1_500;
const UPGRADE_TRIES = 5;
const REST_MS = 500;

/**
 * Shared tables in a further database that is registered: a role of their own, the platform's tables, and the product's as the blueprints
 * that support shared say. May be repeated, and goes on where an earlier attempt ended; whoever lets tenants in does so afterwards.
 * @throws DomainError `database.taken` where the role's name is somebody's
 */
export async function addShared(context: AppContext, where: Where): Promise<void> {
  const { pool } = context;
  if ((await find(pool, where))?.ready) return;
  await oneRegistration(pool, async () => {
    const role = sharedRole(where.database);
    await begin(context, where, role);
    await makeSharedRole(context, where, role);
    const script = scriptFor(await compiledScript(), { schema: SHARED_SCHEMA, appSchema: SHARED_APP_SCHEMA, role, owner: OWNER });
    await onDatabase(context, where, async (client) => {
      const { rowCount } = await client.query('SELECT FROM pg_namespace WHERE nspname = $1', [SHARED_SCHEMA]);
      if (rowCount === 0) await inOneMessage(client, script);
    });
    await fillShared(context, { ...where, role });
    await pool.query('UPDATE tenancy.databases SET shared_ready = true WHERE server = $1 AND name = $2', [where.server, where.database]);
  });
}

const find = async (pool: Pool, { server, database }: Where): Promise<{ role: string | null; ready: boolean } | undefined> =>
  (
    await pool.query<{ role: string | null; ready: boolean }>(
      'SELECT shared_role AS role, shared_ready AS ready FROM tenancy.databases WHERE server = $1 AND name = $2',
      [server, database],
    )
  ).rows[0];

/** The record comes before what it is of: whoever finds both knows that they are its own. */
async function begin(context: PlaceContext, where: Where, role: string): Promise<void> {
  if ((await find(context.pool, where))?.role) return;
  const { rowCount } = await onServer(context, where.server, (client) => client.query('SELECT FROM pg_roles WHERE rolname = $1', [role]));
  if (rowCount)
    throw new DomainError('database.taken', {
      detail: `There is a role ${role} on ${where.server} already, and it is not the platform's; take another database for shared tenants.`,
    });
  await context.pool.query('UPDATE tenancy.databases SET shared_role = $3 WHERE server = $1 AND name = $2', [
    where.server,
    where.database,
    role,
  ]);
}

/** The database's login may become it, as it may become its dedicated tenants; and provisioning, to remove what is a tenant's. */
const makeSharedRole = (context: PlaceContext, { server, database }: Where, role: string): Promise<unknown> =>
  onServer(context, server, (client) =>
    inOneMessage(
      client,
      `DO $do$ BEGIN
         IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = ${literal(role)}) THEN CREATE ROLE ${identifier(role)}; END IF;
         EXECUTE format('GRANT %I TO %I, %I WITH INHERIT FALSE, SET TRUE', ${literal(role)}, ${literal(database)}, session_user);
       END $do$`,
    ),
  );

/** Blueprints that its app_shared has in no version yet. Later versions are for campaigns, which find it whether or not anybody lives there. */
async function fillShared(context: AppContext, { server, database, role }: Pick<Placement, 'server' | 'database' | 'role'>): Promise<void> {
  const { pool } = context;
  const [steps, { rows }] = await Promise.all([
    stepsForNew(pool, true),
    pool.query<{ blueprint: string }>('SELECT DISTINCT blueprint FROM tenancy.shared_ledger WHERE server = $1 AND database = $2', [
      server,
      database,
    ]),
  ]);
  // The copy is never ahead of the ledger: what it has needs no look.
  const copied = new Set(rows.map(({ blueprint }) => blueprint));
  if (steps.every(({ blueprint }) => copied.has(blueprint))) return;
  const place = { server, database, appSchema: SHARED_APP_SCHEMA, role, tenantId: null };
  const versions = () => onDatabase(context, place, async (client) => (await readLedger(client, place)).get(SHARED_APP_SCHEMA)!);
  const known = await versions();
  await fillApp(
    context,
    place,
    steps.filter(({ blueprint }) => !known.has(blueprint)),
    versions,
  );
  await copySharedLedger(pool, place, await versions());
}

/** Campaigns are planned with the control plane's copy. */
async function copySharedLedger(pool: Pool, { server, database }: Where, versions: AppVersions): Promise<void> {
  const rows = [...versions].map(([blueprint, { version, checksum }]) => ({ blueprint, version, checksum }));
  await pool.query(
    `INSERT INTO tenancy.shared_ledger (server, database, blueprint, version, checksum)
     SELECT $1, $2, * FROM unnest($3::text[], $4::int[], $5::text[]) ON CONFLICT DO NOTHING`,
    [
      ...[server, database],
      rows.map(({ blueprint }) => blueprint),
      rows.map(({ version }) => version),
      rows.map(({ checksum }) => checksum),
    ],
  );
}

/** A shared tenant in a further database: the record, what blueprints its tables lack, the gate, then `ready`. Each may have been done before. */
export async function createSharedElsewhere(context: AppContext, placement: Placement): Promise<{ created: boolean }> {
  const { pool } = context;
  if (await isReady(pool, placement)) return { created: false };
  await onPool(pool, (client) => inOneMessage(client, savePlacement(placement, false)));
  await fillShared(context, placement);
  await onDatabase(context, placement, (client) => inOneMessage(client, `SET LOCAL ROLE ${OWNER}; ${openGate(placement)}`));
  await pool.query('UPDATE tenancy.placements SET ready = true, updated_at = now() WHERE tenant_id = $1 AND generation = $2', [
    placement.tenantId,
    placement.generation,
  ]);
  return { created: true };
}

/** The record goes last: until it is gone, another attempt finds what is left. */
export async function dropSharedElsewhere(context: PlaceContext, placement: Placement): Promise<void> {
  const id = uuidLiteral(placement.tenantId);
  await onDatabase(context, placement, async (client) => {
    // None in a database without shared tables.
    const deletes = await deletesOf(client, placement);
    const inContext = `SET LOCAL ROLE ${identifier(placement.role)}; SET LOCAL app.tenant_id = ${id}; SET CONSTRAINTS ALL DEFERRED; ${deletes}`;
    await inOneMessage(
      client,
      // Alone: a transaction of the tenant that has begun would leave rows behind.
      `SET LOCAL lock_timeout = '5s'; SET LOCAL ROLE ${OWNER}; SELECT pg_advisory_xact_lock(tenancy.tenant_lock(${id}));
       DELETE FROM tenancy.tenant_gate WHERE tenant_id = ${id} AND generation <= ${integer(placement.generation)};
       ${deletes === '' ? '' : inContext}`,
    );
  });
  await onPool(context.pool, (client) => inOneMessage(client, forgetPlacement(placement)));
}

/**
 * Takes the platform's shared tables of such a database to this release, in one transaction; the schema's comment says what they are. What a
 * newer release has taken forward is left to it. @throws Error 55P03 where others are in the tables' way at every try
 */
export async function upgradeShared(client: ClientBase, role: string, versions: OwnVersions): Promise<void> {
  const from = await versionIn(client, SHARED_SCHEMA);
  if (from === null) throw new Error('The shared tables do not say which version they are');
  if (from === versions.current || !versions.byVersion.has(from)) return;
  const script = upgradeScript({ tenantId: null, schema: SHARED_SCHEMA, role }, from, versions);
  for (let tried = 1; ; tried++)
    try {
      await inOneMessage(client, `SET LOCAL lock_timeout = ${LOCK_TIMEOUT_MS}; ${script}`);
      return;
    } catch (error) {
      // Another process has done it meanwhile.
      if (sqlState(error) === 'TG005') return;
      if (sqlState(error) !== '55P03' || tried === UPGRADE_TRIES) throw error;
      await sleep(REST_MS * tried);
    }
}
