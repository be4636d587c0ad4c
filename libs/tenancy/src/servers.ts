import { DomainError } from '@tenantry/contracts/errors';
import { PLATFORM_LOG } from '@tenantry/contracts/ids';
import pg from 'pg';
import { openLogin, urlFor } from './login-secret.js';
import { serviceLogin } from './names.js';
import { onPool, type PlaceContext, reportedByQuery } from './place-context.js';
import type { Placement } from './placement.js';

/** The server of the control plane's database. All others take tenants that have a database of their own. */
export const DEFAULT_SERVER = 'default';

/** The same names are in use on several servers. */
export const sameDatabase = (a: Pick<Placement, 'server' | 'database'>, b: Pick<Placement, 'server' | 'database'>): boolean =>
  a.server === b.server && a.database === b.database;

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
