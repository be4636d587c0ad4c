import pg from 'pg';
import { urlFor } from './login-secret.js';
import type { PlacedLogin } from './placements.js';

interface Open {
  pool: pg.Pool;
  /** What it was opened for: with another secret or placement it is another pool. */
  loginSecret: string | null;
  generation: number;
}

export interface IsolatedPoolsOptions {
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
/** A server that answers at all takes a connection in this time. */
const connectTimeoutMs = 3_000;
/** A server that is alive has ended a statement by itself before this is over. */
const graceMs = 2_000;

/** One small pool per isolated tenant's database, opened with the tenant's own login. */
export class IsolatedPools {
  /** By tenant, least recently used first. */
  readonly #pools = new Map<string, Promise<Open>>();

  constructor(private readonly options: IsolatedPoolsOptions) {}

  async pool(placed: PlacedLogin): Promise<pg.Pool> {
    const { tenantId, generation } = placed.placement;
    const known = this.#pools.get(tenantId);
    if (known) {
      const open = await known;
      if (open.loginSecret === placed.loginSecret && open.generation === generation) {
        if (this.#pools.get(tenantId) === known) {
          this.#pools.delete(tenantId);
          this.#pools.set(tenantId, known);
        }
        return open.pool;
      }
      await this.forget(tenantId);
    }
    const opening = this.#open(placed);
    this.#pools.set(tenantId, opening);
    opening.catch(() => {
      if (this.#pools.get(tenantId) === opening) this.#pools.delete(tenantId);
    });
    await this.#closeIdle();
    return (await opening).pool;
  }

  /** Opens connections ahead of need. */
  async warm(placed: PlacedLogin): Promise<void> {
    if (this.#pools.has(placed.placement.tenantId)) return;
    const pool = await this.pool(placed);
    const connected = await Promise.allSettled(Array.from({ length: ISOLATED_POOL_SIZE }, () => pool.connect()));
    for (const one of connected) if (one.status === 'fulfilled') one.value.release();
  }

  async forget(tenantId: string): Promise<void> {
    const open = this.#pools.get(tenantId);
    this.#pools.delete(tenantId);
    // Ends when what runs on it has ended; nobody waits for that here.
    if (open) void open.then(({ pool }) => pool.end()).catch(this.options.onIdleError);
  }

  async close(): Promise<void> {
    const open = await Promise.allSettled(this.#pools.values());
    this.#pools.clear();
    await Promise.all(open.map((result) => (result.status === 'fulfilled' ? result.value.pool.end() : undefined)));
  }

  async #open(placed: PlacedLogin): Promise<Open> {
    const { server, database, role, generation } = placed.placement;
    const [url, password] = await Promise.all([this.options.urlOf(server), this.options.passwordOf(placed)]);
    const pool = new pg.Pool({
      connectionString: urlFor(url, database, { user: role, password }),
      min: 0,
      max: ISOLATED_POOL_SIZE,
      idleTimeoutMillis: 10_000,
      connectionTimeoutMillis: connectTimeoutMs,
      query_timeout: this.options.statementTimeoutMs + graceMs,
      keepAlive: true,
      allowExitOnIdle: true,
    });
    pool.on('error', this.options.onIdleError);
    return { pool, loginSecret: placed.loginSecret, generation };
  }

  async #closeIdle(): Promise<void> {
    if (this.#pools.size <= this.options.max) return;
    for (const [tenantId, opening] of this.#pools) {
      const { pool } = await opening;
      // A busy one stays, so the budget may be passed by as many tenants as are served in this instant.
      if (pool.totalCount === pool.idleCount && pool.waitingCount === 0) await this.forget(tenantId);
      if (this.#pools.size <= this.options.max) return;
    }
  }
}
