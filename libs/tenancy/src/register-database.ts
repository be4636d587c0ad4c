import { DomainError } from '@tenantry/contracts/errors';
import { PLATFORM_LOG } from '@tenantry/contracts/ids';
import type { Isolation } from '@tenantry/contracts/values';
import type { Client, Pool } from 'pg';
import { newPassword, openLogin, sealLogin } from './login-secret.js';
import { onDatabase } from './move/side.js';
import { BLUEPRINT_LOGIN, OWNER } from './names.js';
import { inOneMessage, type PlaceContext } from './place-context.js';
import { createDatabase } from './provision-schema.js';
import { oneRegistration } from './register-server.js';
import { scramVerifier } from './scram.js';
import { onServer } from './servers.js';
import { upgradeShared } from './shared-elsewhere.js';
import { identifier, literal } from './sql.js';
import { databaseFiles, databaseGrants, ownVersions, recordDatabaseFiles, upgradeDatabase } from './tenant-upgrade.js';

interface Where {
  server: string;
  /** Of the database, and of the login that it gets. */
  name: string;
}
export interface DatabaseTerms {
  /** Null: no limit but the server's. */
  capacity: number | null;
  accepts: readonly Isolation[];
}

/**
 * A further database for many tenants' schemas, beside the control plane's or on a registered server. It gets a login of its own, as an
 * isolated tenant's has: the services share it, its password is kept encrypted, and it may become that database's tenants and no others.
 * May be repeated, and goes on where an earlier attempt ended. @param terms of one that is new
 * @throws DomainError `server.not_found`, `database.taken`
 */
export async function registerDatabase(context: PlaceContext, where: Where, terms: DatabaseTerms): Promise<{ created: boolean }> {
  const known = await find(context.pool, where);
  if (known?.ready) return { created: false };
  return oneRegistration(context.pool, async () => {
    await begin(context, where, terms);
    await makeDatabaseLogin(context, where);
    await createDatabase(context, { server: where.server, database: where.name });
    await onDatabase(context, { server: where.server, database: where.name }, (client) => fill(client, where.name));
    await context.pool.query('UPDATE tenancy.databases SET ready = true WHERE server = $1 AND name = $2', [where.server, where.name]);
    return { created: true };
  });
}

const find = async (pool: Pool, { server, name }: Where): Promise<{ ready: boolean; loginSecret: string } | undefined> =>
  (
    await pool.query<{ ready: boolean; loginSecret: string }>(
      'SELECT ready, login_secret AS "loginSecret" FROM tenancy.databases WHERE server = $1 AND name = $2',
      [server, name],
    )
  ).rows[0];

/** The record comes before what it is of: whoever finds both knows that they are its own. */
async function begin(context: PlaceContext, where: Where, { capacity, accepts }: DatabaseTerms): Promise<void> {
  const { pool, keys } = context;
  if (await find(pool, where)) return;
  const { rowCount } = await pool.query('SELECT FROM tenancy.servers WHERE name = $1 AND ready', [where.server]);
  if (!rowCount) throw new DomainError('server.not_found', { detail: `There is no server ${where.server} that takes tenants.` });
  const { rows } = await onServer(context, where.server, (client) =>
    client.query<{ taken: boolean }>(
      'SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1) OR EXISTS (SELECT FROM pg_roles WHERE rolname = $1) AS taken',
      [where.name],
    ),
  );
  if (rows[0]?.taken)
    throw new DomainError('database.taken', {
      detail: `There is a database or a role ${where.name} on ${where.server} already, and it is not the platform's; take another name.`,
    });
  await pool.query(
    'INSERT INTO tenancy.databases (server, name, capacity, accepts, login_secret) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING',
    [where.server, where.name, capacity, accepts, await sealLogin(keys, PLATFORM_LOG, newPassword())],
  );
}

async function makeDatabaseLogin(context: PlaceContext, where: Where): Promise<void> {
  const { loginSecret } = (await find(context.pool, where))!;
  const rights = `LOGIN PASSWORD ${literal(scramVerifier(await openLogin(context.keys, PLATFORM_LOG, loginSecret)))}`;
  const role = identifier(where.name);
  await onServer(context, where.server, (client) =>
    inOneMessage(
      client,
      `DO $do$ BEGIN
         IF EXISTS (SELECT FROM pg_roles WHERE rolname = ${literal(where.name)}) THEN EXECUTE ${literal(`ALTER ROLE ${role} ${rights}`)};
         ELSE EXECUTE ${literal(`CREATE ROLE ${role} ${rights}`)}; END IF;
       END $do$`,
    ),
  );
}

async function fill(client: Client, name: string): Promise<void> {
  const database = identifier(name);
  const { rowCount } = await client.query(`SELECT FROM pg_namespace WHERE nspname = 'tenancy'`);
  if (rowCount) return;
  const files = await databaseFiles();
  await inOneMessage(
    client,
    `REVOKE ALL ON DATABASE ${database} FROM PUBLIC;
     GRANT CONNECT ON DATABASE ${database} TO ${database}, ${BLUEPRINT_LOGIN};
     GRANT CREATE ON DATABASE ${database} TO ${OWNER};
     REVOKE ALL ON SCHEMA public FROM PUBLIC;
     SET LOCAL ROLE ${OWNER};
     CREATE SCHEMA tenancy;
     ${files.map((file) => file.sql).join('\n')}
     ${databaseGrants(name)}
     ${recordDatabaseFiles(files)}`,
  );
}

/** Brings each of them to this release, also one that no tenant lives in yet. @param failed told of one that could not be reached */
export async function upgradeDatabases(
  context: PlaceContext,
  failed: (database: { server: string; database: string }, error: unknown) => void,
): Promise<void> {
  const { rows } = await context.pool.query<{ server: string; database: string; role: string | null }>(
    `SELECT server, name AS database, CASE WHEN shared_ready THEN shared_role END AS role
     FROM tenancy.databases WHERE ready AND login_secret IS NOT NULL ORDER BY server, name`,
  );
  const [files, versions] = await Promise.all([databaseFiles(), ownVersions(context.pool)]);
  await Promise.all(
    rows.map(({ role, ...place }) =>
      onDatabase(context, place, async (client) => {
        await upgradeDatabase(client, files, place.database);
        if (role !== null) await upgradeShared(client, role, versions);
      }).catch((error: unknown) => failed(place, error)),
    ),
  );
}
