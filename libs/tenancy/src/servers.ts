import { DomainError } from '@tenantry/contracts/errors';
import { PLATFORM_LOG } from '@tenantry/contracts/ids';
import pg from 'pg';
import { type LoginKeys, openLogin, urlFor } from './login-secret.js';
import { BUCKET, CONTROL_PLANE_DATABASE, serviceLogin } from './names.js';
import { onPool, type PlaceContext, reportedByQuery } from './place-context.js';
import type { Placement } from './placement.js';

/** The server of the control plane's database. All others take tenants that have a database of their own. */
export const DEFAULT_SERVER = 'default';

type Where = Pick<Placement, 'server' | 'database'>;
/** The same names are in use on several servers. */
export const sameDatabase = (a: Where, b: Where): boolean => a.server === b.server && a.database === b.database;
/** The database that the services' own tables are in. All others are reached with a login that is kept encrypted. */
export const isControlPlane = ({ server, database }: Where): boolean => server === DEFAULT_SERVER && database === CONTROL_PLANE_DATABASE;
type Level = Where & Pick<Placement, 'isolation'>;
/** Whether connections to the target can be made while the source is in use: of a tenant's own databases only one is connected to. */
export const opensAhead = (from: Level, to: Level): boolean =>
  !isControlPlane(to) && !sameDatabase(from, to) && !(from.isolation === 'isolated' && to.isolation === 'isolated');
/** Who may become the dedicated tenants of a database: the services' group in the control plane's, elsewhere the database's login. */
export const bucketOf = (place: Where): string => (isControlPlane(place) ? BUCKET : place.database);
/** Who logs in to a tenant's database other than the control plane's. */
export const loginOf = ({ isolation, role, database }: Pick<Placement, 'isolation' | 'role' | 'database'>): string =>
  isolation === 'isolated' ? role : database;

/** Of the login of a database that many tenants share. @throws DomainError `placement.not_found` */
export async function databasePassword(pool: pg.Pool, keys: LoginKeys, { server, database }: Where): Promise<string> {
  const { rows } = await pool.query<{ login_secret: string }>(
    'SELECT login_secret FROM tenancy.databases WHERE server = $1 AND name = $2 AND login_secret IS NOT NULL',
    [server, database],
  );
  if (!rows[0]) throw new DomainError('placement.not_found', { detail: `There is no database ${database} on ${server}` });
  return openLogin(keys, PLATFORM_LOG, rows[0].login_secret);
}

/** Where servers are, without a login. What a name stands for never changes, so each is looked up once. */
export class ServerUrls {
  readonly #known = new Map<string, string>();

  /** @param url of the control plane's database, which the pool is for */
  constructor(
    private readonly pool: pg.Pool,
    url: string,
  ) {
    this.#known.set(DEFAULT_SERVER, url);
  }

  /** @throws Error where there is no such server */
  async of(server: string): Promise<string> {
    const known = this.#known.get(server);
    if (known !== undefined) return known;
    const { rows } = await this.pool.query<{ url: string }>('SELECT url FROM tenancy.servers WHERE name = $1 AND url IS NOT NULL', [
      server,
    ]);
    if (!rows[0]) throw new Error(`There is no server ${server}`);
    this.#known.set(server, rows[0].url);
    return rows[0].url;
  }
}

/** Provisioning's own login on the tenants' server. @throws DomainError `server.not_found` */
export async function serverUrl({ pool, url, keys }: PlaceContext, server: string): Promise<string> {
  if (server === DEFAULT_SERVER) return url;
  const { rows } = await pool.query<{ url: string; login_secret: string }>(
    'SELECT url, login_secret FROM tenancy.servers WHERE name = $1 AND url IS NOT NULL AND login_secret IS NOT NULL',
    [server],
  );
  if (!rows[0]) throw new DomainError('server.not_found', { detail: `There is no server ${server}` });
  const password = await openLogin(keys, PLATFORM_LOG, rows[0].login_secret);
  const { pathname } = new URL(rows[0].url);
  return urlFor(rows[0].url, decodeURIComponent(pathname.slice(1)), { user: serviceLogin('provisioning'), password });
}

/** A session for making and removing roles and databases of that server. */
export async function onServer<T>(context: PlaceContext, server: string, work: (client: pg.ClientBase) => Promise<T>): Promise<T> {
  if (server === DEFAULT_SERVER) return onPool(context.pool, work);
  const client = new pg.Client({
    connectionString: await serverUrl(context, server),
    connectionTimeoutMillis: 10_000,
    application_name: 'tenantry-places',
    keepAlive: true,
  });
  client.on('error', reportedByQuery);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
