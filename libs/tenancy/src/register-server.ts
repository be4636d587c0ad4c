import { DomainError, invalidField } from '@tenantry/contracts/errors';
import { PLATFORM_LOG } from '@tenantry/contracts/ids';
import pg from 'pg';
import { newPassword, openLogin, sealLogin } from './login-secret.js';
import { BLUEPRINT_LOGIN, serviceLogin } from './names.js';
import { inOneMessage, onPool, type PlaceContext } from './place-context.js';
import { blueprintLoginScript, closeDatabases, rolesScript } from './roles.js';
import { onServer } from './servers.js';
import { sqlState } from './sql.js';

/** A server answers in this time, or it is none that tenants could live on. */
const answerMs = 5_000;
const fault = (rule: string, message: string) => invalidField('url', rule, message);

/** What of an administrator's URL may be kept and shown, with nothing of the login. @throws DomainError `request.invalid` */
export function publicUrl(given: string): string {
  const url = URL.canParse(given) ? new URL(given) : null;
  const isWhole =
    url !== null && /^postgres(ql)?:$/.test(url.protocol) && url.hostname !== '' && url.username !== '' && /^\/[^/]+$/.test(url.pathname);
  if (!isWhole) throw fault('postgres_url', 'must be postgres://<user>:<password>@<host>:<port>/<database>');
  for (const name of url.searchParams.keys())
    if (!['sslmode', 'sslrootcert'].includes(name))
      throw fault('known_parameter', 'may have the parameters sslmode and sslrootcert, and no others');
  url.username = '';
  url.password = '';
  url.protocol = 'postgres:';
  if (url.port === '') url.port = '5432';
  return url.href;
}

/**
 * Another server takes tenants that have a database of their own: it gets the platform's roles and logins for provisioning and for blueprints, whose
 * passwords are kept encrypted. The administrator's login is used here and kept nowhere. May be repeated, and goes on where an earlier attempt ended.
 * @throws DomainError `request.invalid` (unreachable, too old, rights, other databases that are open), `server.differs`, `server.taken`
 */
export async function registerServer({ pool, keys }: PlaceContext, name: string, adminUrl: string): Promise<{ created: boolean }> {
  const url = publicUrl(adminUrl);
  const known = await find(pool, name);
  if (known && known.url !== url)
    throw new DomainError('server.differs', {
      detail: `${name} is another server; give this one another name. A server stays where it is.`,
    });
  if (known?.ready && known.hasAppLogin) return { created: false };
  return oneRegistration(pool, () => prepareServer({ pool, keys }, name, { url, adminUrl }));
}

/** One registration at a time: two names for one server would each set the login's password. */
export async function oneRegistration<T>(pool: pg.Pool, work: () => Promise<T>): Promise<T> {
  return onPool(pool, async (client) => {
    await client.query("BEGIN; SET LOCAL idle_in_transaction_session_timeout = 0; SET LOCAL lock_timeout = '30s'");
    try {
      await client.query('SELECT pg_advisory_xact_lock(7266318503)');
      return await work();
    } finally {
      await client.query('ROLLBACK');
    }
  });
}

async function prepareServer(
  { pool, keys }: Pick<PlaceContext, 'pool' | 'keys'>,
  name: string,
  { url, adminUrl }: { url: string; adminUrl: string },
): Promise<{ created: boolean }> {
  const admin = await connected(adminUrl);
  try {
    await check(admin, pool);
    if (!(await find(pool, name))) {
      const { rowCount } = await admin.query('SELECT FROM pg_roles WHERE rolname = $1', [serviceLogin('provisioning')]);
      if (rowCount)
        throw new DomainError('server.taken', {
          detail: 'A control plane has its roles there already: this one under another name, or another. Each server is registered once.',
        });
      // Before the roles are made: whoever finds them and this row knows that they are its own.
      await pool.query(
        'INSERT INTO tenancy.servers (name, url, login_secret, ready) VALUES ($1, $2, $3, false) ON CONFLICT (name) DO NOTHING',
        [name, url, await sealLogin(keys, PLATFORM_LOG, newPassword())],
      );
    }
    const { rows } = await pool.query<{ own: string; app: string }>(
      'UPDATE tenancy.servers SET app_login_secret = coalesce(app_login_secret, $2) WHERE name = $1 RETURNING login_secret AS own, app_login_secret AS app',
      [name, await sealLogin(keys, PLATFORM_LOG, newPassword())],
    );
    const [provisioning, blueprints] = [
      await openLogin(keys, PLATFORM_LOG, rows[0]!.own),
      await openLogin(keys, PLATFORM_LOG, rows[0]!.app),
    ];
    await admin.query(rolesScript(['provisioning'], { provisioning, blueprints }));
    await closeDatabases(admin, decodeURIComponent(new URL(url).pathname.slice(1)));
    await pool.query('UPDATE tenancy.servers SET ready = true WHERE name = $1', [name]);
    return { created: true };
  } finally {
    await admin.end();
  }
}

/**
 * Servers that an earlier release prepared have no login for blueprints, without which nothing is made or brought to this release there.
 * Provisioning's own may make it, so that no administrator has to come again. @param failed told of one where that failed
 */
export async function upgradeServers(context: PlaceContext, failed: (server: string, error: unknown) => void): Promise<void> {
  const { rows } = await context.pool.query<{ name: string }>(
    'SELECT name FROM tenancy.servers WHERE ready AND url IS NOT NULL ORDER BY name',
  );
  for (const { name } of rows) await upgradeServer(context, name).catch((error: unknown) => failed(name, error));
}

async function upgradeServer(context: PlaceContext, name: string): Promise<void> {
  const { pool, keys } = context;
  await onServer(context, name, async (client) => {
    const isWhole = async () => {
      const { rowCount } = await client.query('SELECT FROM pg_roles WHERE rolname = $1', [BLUEPRINT_LOGIN]);
      return rowCount === 1 && (await find(pool, name))?.hasAppLogin === true;
    };
    if (await isWhole()) return;
    await oneRegistration(pool, async () => {
      if (await isWhole()) return;
      const { rows } = await pool.query<{ app: string | null }>('SELECT app_login_secret AS app FROM tenancy.servers WHERE name = $1', [
        name,
      ]);
      const secret = rows[0]?.app ?? (await sealLogin(keys, PLATFORM_LOG, newPassword()));
      await inOneMessage(client, blueprintLoginScript(await openLogin(keys, PLATFORM_LOG, secret)));
      // Last: a secret that is kept is that of a login that is there.
      await pool.query('UPDATE tenancy.servers SET app_login_secret = $2 WHERE name = $1', [name, secret]);
    });
  });
}

async function find(pool: pg.Pool, name: string): Promise<{ url: string | null; ready: boolean; hasAppLogin: boolean } | undefined> {
  const { rows } = await pool.query<{ url: string | null; ready: boolean; hasAppLogin: boolean }>(
    'SELECT url, ready, app_login_secret IS NOT NULL AS "hasAppLogin" FROM tenancy.servers WHERE name = $1',
    [name],
  );
  return rows[0];
}

async function connected(adminUrl: string): Promise<pg.Client> {
  const client = new pg.Client({
    connectionString: adminUrl,
    connectionTimeoutMillis: answerMs,
    query_timeout: answerMs,
    application_name: 'tenantry-servers',
  });
  // A connection that breaks also rejects the query that runs; the event must not end the process.
  client.on('error', () => undefined);
  try {
    await client.connect();
    return client;
  } catch (error) {
    await client.end().catch(() => undefined);
    const state = sqlState(error);
    // What the driver says may hold the address or the login: only its code is told.
    if (state === '28P01' || state === '28000') throw fault('login', 'the server refuses that user or password');
    if (state === '3D000') throw fault('database', 'the server has no such database');
    const code = state ?? (error as { code?: string }).code ?? 'no answer';
    throw fault('reachable', `the server could not be reached within ${answerMs / 1_000} seconds (${code})`);
  }
}

async function check(admin: pg.Client, pool: pg.Pool): Promise<void> {
  const [{ rows: own }, { rows: found }, { rows: open }] = [
    await pool.query<{ version: number }>(`SELECT current_setting('server_version_num')::int AS version`),
    await admin.query<{ version: number; may: boolean; standby: boolean }>(
      `SELECT current_setting('server_version_num')::int AS version, rolsuper OR (rolcreaterole AND rolcreatedb) AS may, pg_is_in_recovery() AS standby
       FROM pg_roles WHERE rolname = current_user`,
    ),
    await admin.query<{ datname: string }>(
      `SELECT datname FROM pg_database WHERE datallowconn AND datname NOT IN ('postgres', 'template1', current_database())
       AND has_database_privilege('public', oid, 'CONNECT') ORDER BY datname LIMIT 10`,
    ),
  ];
  const major = (version: number) => Math.floor(version / 10_000);
  const { version, may, standby } = found[0]!;
  if (standby) throw fault('primary', 'the server is a standby; name its primary');
  if (major(version) < major(own[0]!.version))
    throw fault(
      'version',
      `the server is PostgreSQL ${major(version)}; it must be ${major(own[0]!.version)} or newer, as the control plane's`,
    );
  if (!may) throw fault('rights', 'the user must be a superuser, or may create roles and databases');
  if (open.length > 0)
    throw fault(
      'closed',
      `everybody may connect to ${open.map(({ datname }) => datname).join(', ')} there, tenants' logins too: revoke CONNECT from PUBLIC, or take an empty server`,
    );
}
