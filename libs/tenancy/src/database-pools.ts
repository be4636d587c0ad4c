import pg from 'pg';
import { urlFor } from './login-secret.js';
import type { PlacedLogin } from './placements.js';
import { loginOf } from './servers.js';

interface Open {
  pool: pg.Pool;
  /** What it was opened for: with another secret or placement it is another pool. */
  loginSecret: string | null;
  generation: number | null;
}

export interface DatabasePoolsOptions {
  /** Where a server is. */
  urlOf: (server: string) => Promise<string>;
  passwordOf: (placed: PlacedLogin) => Promise<string>;
  /** Pools that may be open; above that the least recently used idle one is closed. */
  max: number;
  /** The server's own limit on a statement. */
  statementTimeoutMs: number;
  onIdleError: (error: Error) => void;
}

/** Connections to one isolated database. */
export const ISOLATED_POOL_SIZE = 2;
/** To one that many tenants share: more than one tenant may have at once, so that another waits for one of them at most. */
export const SHARED_POOL_SIZE = 10;
/** A server that answers at all takes a connection in this time: whoever asks the pool has had his turn, and waits for nobody else. */
const connectTimeoutMs = 3_000;
/** A session never gives back what it has learnt of tables, roles and plans. */
const lifetimeSeconds = 120;
/** A server that is alive has ended a statement by itself before this is over. */
const graceMs = 2_000;

/**
 * Pools of databases other than the control plane's: a small one for each isolated tenant, opened with the tenant's own login, and one for
 * each database that many tenants share, opened with the database's.
 */
export class DatabasePools {
  /** By tenant or database, least recently used first. */
  readonly #pools = new Map<string, Promise<Open>>();

  constructor(private readonly options: DatabasePoolsOptions) {}

  async pool(placed: PlacedLogin): Promise<pg.Pool> {
    const key = keyOf(placed);
    const { loginSecret, generation } = openedFor(placed);
    const known = this.#pools.get(key);
    if (known) {
      const open = await known;
      if (open.loginSecret === loginSecret && open.generation === generation) {
        if (this.#pools.get(key) === known) {
          this.#pools.delete(key);
          this.#pools.set(key, known);
        }
        return open.pool;
      }
      await this.#close(key);
    }
    const opening = this.#open(placed);
    this.#pools.set(key, opening);
    opening.catch(() => {
      if (this.#pools.get(key) === opening) this.#pools.delete(key);
    });
    await this.#closeIdle();
    return (await opening).pool;
  }

  /** Opens connections ahead of need. */
  async warm(placed: PlacedLogin): Promise<void> {
    if (this.#pools.has(keyOf(placed))) return;
    const pool = await this.pool(placed);
    const connected = await Promise.allSettled(Array.from({ length: ISOLATED_POOL_SIZE }, () => pool.connect()));
    for (const one of connected) if (one.status === 'fulfilled') one.value.release();
  }

  /** What the database does not take any more is not tried again. */
  async forget(placed: PlacedLogin): Promise<void> {
    await this.#close(keyOf(placed));
  }

  async #close(key: string): Promise<void> {
    const open = this.#pools.get(key);
    this.#pools.delete(key);
    // Ends when what runs on it has ended; nobody waits for that here.
    if (open) void open.then(({ pool }) => pool.end()).catch(this.options.onIdleError);
  }

  async close(): Promise<void> {
    const open = await Promise.allSettled(this.#pools.values());
    this.#pools.clear();
    await Promise.all(open.map((result) => (result.status === 'fulfilled' ? result.value.pool.end() : undefined)));
  }

  async #open(placed: PlacedLogin): Promise<Open> {
    const { server, database, isolation } = placed.placement;
    const [url, password] = await Promise.all([this.options.urlOf(server), this.options.passwordOf(placed)]);
    const pool = new pg.Pool({
      connectionString: urlFor(url, database, { user: loginOf(placed.placement), password }),
      min: 0,
      max: isolation === 'isolated' ? ISOLATED_POOL_SIZE : SHARED_POOL_SIZE,
      idleTimeoutMillis: 10_000,
      maxLifetimeSeconds: lifetimeSeconds,
      connectionTimeoutMillis: connectTimeoutMs,
      query_timeout: this.options.statementTimeoutMs + graceMs,
      keepAlive: true,
      allowExitOnIdle: true,
    });
    pool.on('error', this.options.onIdleError);
    return { pool, ...openedFor(placed) };
  }

  async #closeIdle(): Promise<void> {
    if (this.#pools.size <= this.options.max) return;
    for (const [key, opening] of this.#pools) {
      const { pool } = await opening;
      // A busy one stays, so the budget may be passed by as many tenants as are served in this instant.
      if (pool.totalCount === pool.idleCount && pool.waitingCount === 0) await this.#close(key);
      if (this.#pools.size <= this.options.max) return;
    }
  }
}

const keyOf = ({ placement: { isolation, tenantId, server, database } }: PlacedLogin): string =>
  isolation === 'isolated' ? tenantId : `${server}/${database}`;
/** A shared database's pool outlives the placements of its tenants. */
const openedFor = ({ placement: { isolation, generation }, loginSecret }: PlacedLogin): Omit<Open, 'pool'> =>
  isolation === 'isolated' ? { loginSecret, generation } : { loginSecret: null, generation: null };
