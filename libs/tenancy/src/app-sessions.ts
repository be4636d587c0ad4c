import { DomainError } from '@tenantry/contracts/errors';
import { PLATFORM_LOG } from '@tenantry/contracts/ids';
import pg from 'pg';
import { openLogin, urlFor } from './login-secret.js';
import { BLUEPRINT_LOGIN, isOwnDatabase } from './names.js';
import { type PlaceContext, reportedByQuery } from './place-context.js';
import type { Placement } from './placement.js';
import { DEFAULT_SERVER } from './servers.js';

type Where = Pick<Placement, 'server' | 'database'>;

/** As many as are in use at a time, of one database; who wants more waits, as long as changes of schemas take. */
const MOST = 12;
/** A backend keeps what it has seen of each schema's catalogue: it is replaced after so many schemas. */
const USES = 200;
const IDLE_MS = 5_000;
const CONNECT_MS = 10_000;
const NAME = 'tenantry-provisioning-schemas';

/** What SQL may leave in a session for those that come after it: settings, prepared statements, locks. */
const CLEAN = 'RESET ALL; DEALLOCATE ALL; CLOSE ALL; UNLISTEN *; SELECT pg_catalog.pg_advisory_unlock_all()';

/** Turns in the order of asking. The pool's own queue would refuse whoever waits for longer than a connection may take. */
class Turns {
  private free = MOST;
  private readonly waiting: (() => void)[] = [];

  async take(): Promise<void> {
    if (this.free === 0) return new Promise((resolve) => this.waiting.push(resolve));
    this.free -= 1;
  }
  /** Handed over where somebody waits: the number of those that are free stays. */
  give(): void {
    const next = this.waiting.shift();
    if (next) next();
    else this.free += 1;
  }
}

/**
 * Sessions of the login that the operator's SQL runs with: it may call `tenancy.run_app` and `tenancy.change_app`, and nothing else.
 * Long ones to a database of many tenants, one at a time to a tenant's own: that must be free to go.
 */
export class AppSessions {
  /** By server and database: the control plane's, and those that operators have registered. */
  private readonly pools = new Map<string, Promise<pg.Pool>>();
  private readonly turns = new Map<string, Turns>();

  /** @param url that login, on the control plane's database */
  constructor(
    private readonly places: Pick<PlaceContext, 'pool' | 'keys'>,
    private readonly url: string,
  ) {}

  async run<T>(where: Where, work: (client: pg.ClientBase) => Promise<T>): Promise<T> {
    return isOwnDatabase(where.database) ? this.alone(where, work) : this.pooled(where, work);
  }

  private async pooled<T>(where: Where, work: (client: pg.ClientBase) => Promise<T>): Promise<T> {
    const name = `${where.server} ${where.database}`;
    const turns = this.turns.get(name) ?? new Turns();
    this.turns.set(name, turns);
    await turns.take();
    const client = await this.connect(name, where).catch((error: unknown) => {
      turns.give();
      throw error;
    });
    client.on('error', reportedByQuery);
    try {
      return await work(client);
    } finally {
      // Waited for: who comes back at once finds this session, warm, and doesn't open another meanwhile.
      await this.giveBack(client).finally(() => turns.give());
    }
  }

  private async connect(name: string, where: Where): Promise<pg.PoolClient> {
    const known = this.pools.get(name) ?? this.open(where);
    this.pools.set(name, known);
    try {
      return await (await known).connect();
    } catch (error) {
      // Where the server is and what the login's password is may have changed: the next one looks again.
      if (this.pools.get(name) === known) this.pools.delete(name);
      // Those that have a session give it back first; a pool that could not be opened said why above.
      void known.then((pool) => pool.end()).catch(() => undefined);
      throw error;
    }
  }

  private async open(where: Where): Promise<pg.Pool> {
    const pool = new pg.Pool({
      connectionString: await this.urlOf(where),
      application_name: NAME,
      max: MOST,
      maxUses: USES,
      idleTimeoutMillis: IDLE_MS,
      connectionTimeoutMillis: CONNECT_MS,
      keepAlive: true,
    });
    pool.on('error', reportedByQuery);
    return pool;
  }

  private async giveBack(client: pg.PoolClient): Promise<void> {
    // Where even that fails, in an open transaction or on a broken connection, the session is of no use to others.
    const isClean = await client.query(CLEAN).then(
      () => true,
      () => false,
    );
    client.off('error', reportedByQuery);
    client.release(!isClean);
  }

  private async alone<T>(where: Where, work: (client: pg.ClientBase) => Promise<T>): Promise<T> {
    const client = new pg.Client({
      connectionString: await this.urlOf(where),
      application_name: NAME,
      connectionTimeoutMillis: CONNECT_MS,
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

  /** @throws DomainError `server.not_found` */
  private async urlOf({ server, database }: Where): Promise<string> {
    if (server === DEFAULT_SERVER) return urlFor(this.url, database);
    const { rows } = await this.places.pool.query<{ url: string; secret: string }>(
      'SELECT url, app_login_secret AS secret FROM tenancy.servers WHERE name = $1 AND url IS NOT NULL AND app_login_secret IS NOT NULL',
      [server],
    );
    if (!rows[0])
      throw new DomainError('server.not_found', { detail: `The server ${server} has no login for blueprints: register it again.` });
    return urlFor(rows[0].url, database, {
      user: BLUEPRINT_LOGIN,
      password: await openLogin(this.places.keys, PLATFORM_LOG, rows[0].secret),
    });
  }

  async close(): Promise<void> {
    const pools = await Promise.allSettled(this.pools.values());
    this.pools.clear();
    await Promise.all(pools.map((opened) => (opened.status === 'fulfilled' ? opened.value.end() : undefined)));
  }
}
