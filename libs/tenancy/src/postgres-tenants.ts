import { DomainError } from '@tenantry/contracts/errors';
import { drizzle, type NodePgDatabase } from 'drizzle-orm/node-postgres';
import type { Pool, PoolClient } from 'pg';
import { Breaker, isSilence, isUnreachable } from './breaker.js';
import { ClosedGates, type GateLimits } from './closed-gates.js';
import { DatabasePools, ISOLATED_POOL_SIZE, SHARED_POOL_SIZE } from './database-pools.js';
import { type LoginKeys, openLogin } from './login-secret.js';
import type { Placement } from './placement.js';
import { type PlacedLogin, Placements } from './placements.js';
import { databasePassword, isControlPlane, opensAhead, ServerUrls } from './servers.js';
import { type SlotLimits, Slots } from './slots.js';
import { identifier, integer, literal, sqlState, uuidLiteral } from './sql.js';
import { Tenants, type TenantTransaction } from './tenants.js';

export interface PostgresTenantsOptions {
  /** Of the control-plane database, with the service's login. The caller's: it is not closed here. */
  pool: Pool;
  /** What the pool connects with; other databases are on the same server, or on one that its database knows. */
  url: string;
  /**
   * Passwords of the logins of other databases: the keyring opens those that are kept with the placements; who may not read them asks for
   * that of each placement. A tenant that is being moved has two.
   */
  keys: LoginKeys | { passwordOf: (tenantId: string, generation: number) => Promise<string> };
  /** Schemas that names are looked up in: the platform's rows of the tenant first, or the product's alone. Default: platform. */
  path?: 'platform' | 'product';
  /** Of every statement in a tenant's transaction. */
  statementTimeoutMs?: number;
  /** A transaction in which nothing happens for that long is ended by the server: it frees the rows of a frozen process. */
  idleTimeoutMs?: number;
  placementTtlMs?: number;
  /** How long another database that did not answer is left alone at first, and at most. */
  breakerMs?: { first: number; longest: number };
  /** Pools of other databases that stay open. */
  isolatedPools?: number;
  /** A connection is closed after it has served that many dedicated tenants: a backend keeps 20 to 140 KB of catalogue of each. */
  tenantsPerConnection?: number;
  gate?: Partial<GateLimits>;
  /** Connections of one tenant at once, in this process. */
  connections?: Partial<SlotLimits>;
  /** Who may wait for a connection to another database than the control plane's, for each of them, and how long. */
  turns?: Partial<Omit<SlotLimits, 'inUse'>>;
  /** Errors of connections, told apart from queries; they are replaced by themselves. */
  onIdleError?: (error: Error) => void;
}

interface Connected {
  client: PoolClient;
  /** For when the connection is released: lets the next one have its turn. */
  giveBack: () => void;
}
type Entered = ({ kind: 'in' } & Connected) | { kind: 'closed' | 'stale' | 'unknown'; cause: unknown };

/** Tenants in PostgreSQL at all three levels of isolation: the same queries, the same context, one round trip to begin. */
export class PostgresTenants extends Tenants {
  readonly #options: Required<Omit<PostgresTenantsOptions, 'gate' | 'connections' | 'turns'>> & { gate: GateLimits };
  readonly #placements: Placements;
  readonly #gates: ClosedGates;
  readonly #others: DatabasePools;
  readonly #breaker: Breaker;
  /** By tenant. */
  readonly #connections: Slots;
  /** By database. */
  readonly #turns: Slots;
  readonly #served = new WeakMap<PoolClient, Set<string>>();
  readonly #drizzle = new WeakMap<PoolClient, NodePgDatabase>();
  readonly #watched = new WeakSet<PoolClient>();

  constructor(options: PostgresTenantsOptions) {
    super();
    const { connections, turns, ...given } = options;
    this.#options = {
      path: 'platform',
      statementTimeoutMs: 10_000,
      idleTimeoutMs: 5_000,
      placementTtlMs: 60_000,
      breakerMs: { first: 1_000, longest: 15_000 },
      isolatedPools: 50,
      tenantsPerConnection: 200,
      onIdleError: () => undefined,
      ...given,
      gate: { waiters: 250, waitMs: 5_000, probeMs: 25, ...options.gate },
    };
    const { pool, url, keys, placementTtlMs, isolatedPools, onIdleError, gate, breakerMs, statementTimeoutMs } = this.#options;
    this.#breaker = new Breaker(breakerMs.first, breakerMs.longest);
    this.#placements = new Placements(pool, placementTtlMs, 'reveal' in keys);
    this.#gates = new ClosedGates(gate);
    this.#connections = new Slots({ inUse: 3, waiting: 250, waitMs: 5_000, ...connections });
    // A tenant has only its share of these waiting, so that all who share a database come in the order of asking.
    this.#turns = new Slots({ inUse: SHARED_POOL_SIZE, waiting: 1_000, waitMs: 5_000, ...turns }, databaseBusy);
    const servers = new ServerUrls(pool, url);
    this.#others = new DatabasePools({
      urlOf: (server) => servers.of(server),
      passwordOf: (placed) => passwordOf(pool, keys, placed),
      max: isolatedPools,
      statementTimeoutMs,
      onIdleError,
    });
  }

  override async placement(tenantId: string, { fresh = false }: { fresh?: boolean } = {}): Promise<Placement | null> {
    return (await this.#placements.find(tenantId, fresh))?.placement ?? null;
  }

  override async withTenant<T>(tenantId: string, work: (tx: TenantTransaction) => Promise<T>): Promise<T> {
    const { client, placement, giveBack } = await this.#enter(tenantId);
    let broken: Error | undefined;
    try {
      const result = await work({ db: this.#drizzleOf(client), client, placement });
      const { command } = await client.query('COMMIT');
      // PostgreSQL answers ROLLBACK to the COMMIT of a transaction in which a statement failed.
      if (command !== 'COMMIT') throw new Error('A statement failed and its error was not passed on: nothing was committed');
      return result;
    } catch (error) {
      broken = await this.#rollBack(client, placement, error);
      // Of a database that many share, one session that was ended (idle for too long, by an administrator) says nothing: whoever connects next
      // finds out. In use, that would close it to all because of one.
      if (broken && !isControlPlane(placement) && (placement.isolation === 'isolated' ? isUnreachable(error) : isSilence(error)))
        this.#breaker.failed(databaseOf(placement), performance.now());
      throw error;
    } finally {
      client.release(broken ?? this.#isWorn(client, placement));
      giveBack();
    }
  }

  /** Gives why the connection can't be used again, if so. */
  async #rollBack(client: PoolClient, placement: Placement, error: unknown): Promise<Error | undefined> {
    // Who keeps silent would not answer a ROLLBACK either.
    if (!isControlPlane(placement) && isUnreachable(error)) return error as Error;
    return client.query('ROLLBACK').then(
      () => undefined,
      (failure: Error) => failure,
    );
  }

  /** Connections of tenants in use, and who waits for one. */
  standing(): ReturnType<Slots['standing']> {
    return this.#connections.standing();
  }

  /** The same of databases other than the control plane's; `tenants` stands for databases. */
  turns(): ReturnType<Slots['standing']> {
    return this.#turns.standing();
  }

  override async close(): Promise<void> {
    await this.#others.close();
  }

  /** A connection with the tenant's transaction begun. Holds none while it waits before a closed gate. */
  async #enter(tenantId: string): Promise<Connected & { placement: Placement }> {
    try {
      return await this.#tryToEnter(tenantId, performance.now() + this.#options.gate.waitMs);
    } catch (error) {
      // Whoever tried for the others says that it did not find out; each tries by itself.
      if (!(error instanceof DomainError && error.code === 'placement.closed')) this.#gates.open(tenantId);
      throw error;
    }
  }

  async #tryToEnter(tenantId: string, until: number): Promise<Connected & { placement: Placement }> {
    let fresh = false;
    /** The generation that a gate has just refused as an old one. */
    let refused: number | null = null;
    for (let refusals = 0; ; ) {
      let mayTry = refused !== null;
      if (!mayTry && this.#gates.isClosed(tenantId)) {
        await this.#gates.wait(tenantId, until);
        mayTry = true;
        // It may have opened somewhere else.
        fresh = true;
      }
      const placed = await this.#find(tenantId, fresh, refused);
      const { placement } = placed;
      const giveBack = await this.#connections.take(tenantId, placement.isolation === 'isolated' ? ISOLATED_POOL_SIZE : undefined);
      // Closed while this one waited for its turn: one of those before the gate finds out for all.
      if (!mayTry && this.#gates.isClosed(tenantId)) {
        giveBack();
        continue;
      }
      let entered: Entered | undefined;
      try {
        entered = await this.#begin(placed);
      } catch (error) {
        const isBusy = error instanceof DomainError && error.code === 'placement.busy';
        if (isBusy || !(await this.#hasMovedAway(placement))) throw error;
      } finally {
        // What waits before a gate, or has failed, holds no connection.
        if (entered?.kind !== 'in') giveBack();
      }
      if (!entered) continue;
      if (entered.kind === 'in') {
        this.#placements.keep(placed);
        this.#gates.open(tenantId);
        const { client, giveBack: endTurn } = entered;
        return {
          ...{ client, placement },
          giveBack: () => {
            endTurn();
            giveBack();
          },
        };
      }
      // The tenant has left: it may be at the next place already. Where that sends it back, both can't be right for long.
      if (entered.kind === 'stale' && refused !== placement.generation && performance.now() < until) {
        refused = placement.generation;
        fresh = true;
        continue;
      }
      refused = null;
      // A placement that doesn't fit its gate while others wait: they are about to fit.
      if (entered.kind === 'closed' || this.#gates.isClosed(tenantId)) {
        this.#gates.close(tenantId);
        refusals = 0;
        continue;
      }
      // Again with the placement as it is now, which may have changed between its reading and this; a third refusal in a row is the truth.
      if (refusals++ > 1) throw new DomainError('placement.not_found', { cause: entered.cause });
      fresh = true;
    }
  }

  /** Where to go. Whoever was refused for the generation that the placement still says goes to the next place. */
  async #find(tenantId: string, fresh: boolean, refused: number | null): Promise<PlacedLogin> {
    const placed = await this.#placements.find(tenantId, fresh);
    if (!placed?.placement.ready) throw new DomainError('placement.not_found');
    const { placement, loginSecret, next } = placed;
    if (next === null) return placed;
    const there: PlacedLogin = { placement: next, loginSecret, next: null };
    if (placement.generation === refused) return there;
    // Connections take their time: they are made while the tenant is on its way. Who needs them hears why there are none.
    if (fresh && opensAhead(placement, next)) this.#others.warm(there).catch(() => undefined);
    return placed;
  }

  /**
   * A database or login that isn't to be had may be one that the tenant has left, and that is gone. The next look-up finds the new one. What
   * the placement doesn't say yet is not behind it: who could not reach where the tenant is on its way to would ask for it again for ever.
   */
  async #hasMovedAway(placement: Placement): Promise<boolean> {
    const { tenantId, generation } = placement;
    if (isControlPlane(placement)) return false;
    const now = await this.#placements.find(tenantId, true);
    return now !== null && now.placement.generation > generation;
  }

  async #begin(placed: PlacedLogin): Promise<Entered> {
    const giveBack = isControlPlane(placed.placement) ? () => undefined : await this.#turn(placed.placement);
    let entered: Entered | undefined;
    try {
      entered = await this.#beginAtTurn(placed, giveBack);
      return entered;
    } finally {
      if (entered?.kind !== 'in') giveBack();
    }
  }

  async #beginAtTurn(placed: PlacedLogin, giveBack: () => void): Promise<Entered> {
    const { placement } = placed;
    const isElsewhere = !isControlPlane(placement);
    let pool = this.#options.pool;
    let client: PoolClient;
    try {
      if (isElsewhere) pool = await this.#others.pool(placed);
      client = await pool.connect();
    } catch (error) {
      if (isElsewhere) this.#heard(placement, error);
      // No such login, password or database, or no key that opens the password: the placement, or its secret, is an old one.
      const isErased = error instanceof DomainError && error.code === 'keys.destroyed';
      if (!isElsewhere || !(isErased || ['28P01', '28000', '3D000', '42501'].includes(sqlState(error) ?? '')))
        throw this.#unavailable(placement, error);
      await this.#others.forget(placed);
      return { kind: 'unknown', cause: error };
    }
    this.#watch(client);
    try {
      await client.query(this.#context(placement));
      if (isElsewhere) this.#breaker.answered(databaseOf(placement));
      return { kind: 'in', client, giveBack };
    } catch (error) {
      const kind = gateRefusals[sqlState(error) ?? ''];
      client.release(await this.#rollBack(client, placement, error));
      if (isElsewhere) this.#heard(placement, error);
      if (kind === undefined) throw this.#unavailable(placement, error);
      return { kind, cause: error };
    }
  }

  /**
   * One's turn to have a connection to a database other than the control plane's, and to say then how that ended.
   * @throws DomainError `placement.unavailable` at once, where the database did not answer a moment ago; `placement.busy`
   */
  async #turn(placement: Placement): Promise<() => void> {
    const database = databaseOf(placement);
    const awayMs = this.#breaker.left(database, performance.now());
    if (awayMs > 0) throw away(awayMs);
    const giveBack = await this.#turns.take(database, placement.isolation === 'isolated' ? ISOLATED_POOL_SIZE : undefined);
    // It may have gone away while this one waited, and one of those who wait finds out for all when it is back.
    const waitMs = this.#breaker.enter(database, performance.now());
    if (waitMs === 0) return giveBack;
    giveBack();
    throw away(waitMs);
  }

  /** What a caller gets where the tenant's own or a shared database did not answer. Of the control plane's, which is not ours, what it said. */
  #unavailable(placement: Placement, error: unknown): unknown {
    if (isControlPlane(placement) || error instanceof DomainError || !isUnreachable(error)) return error;
    return away(this.#breaker.left(databaseOf(placement), performance.now()), error);
  }

  /** Whoever was let through says how it ended: whatever else went wrong, the database has answered. */
  #heard(placement: Placement, error: unknown): void {
    if (isUnreachable(error)) this.#breaker.failed(databaseOf(placement), performance.now());
    else this.#breaker.answered(databaseOf(placement));
  }

  /** One message. Everything is local to the transaction, so that it works behind a pooler and nothing stays on the connection. */
  #context({ tenantId, generation, role, schema, appSchema }: Placement): string {
    const { statementTimeoutMs, idleTimeoutMs, path } = this.#options;
    // Whatever the login's default is: a snapshot from before the look at the gate could see one open that has been closed since.
    return `BEGIN ISOLATION LEVEL READ COMMITTED; SELECT tenancy.enter_tenant(${uuidLiteral(tenantId)}, ${integer(generation)}); SET LOCAL ROLE ${identifier(role)};
      SET LOCAL search_path = ${path === 'platform' ? `${identifier(schema)}, ` : ''}${identifier(appSchema)}; SET LOCAL app.tenant_id = ${literal(tenantId)};
      SET LOCAL statement_timeout = ${integer(statementTimeoutMs)}; SET LOCAL idle_in_transaction_session_timeout = ${integer(idleTimeoutMs)}`;
  }

  /** A connection that ends while it is in use says so by an event too, which ends the process where nobody listens. The next query fails. */
  #watch(client: PoolClient): void {
    if (this.#watched.has(client)) return;
    this.#watched.add(client);
    client.on('error', this.#options.onIdleError);
  }

  #drizzleOf(client: PoolClient): NodePgDatabase {
    let db = this.#drizzle.get(client);
    if (!db) {
      db = drizzle(client);
      this.#drizzle.set(client, db);
    }
    return db;
  }

  #isWorn(client: PoolClient, { isolation, tenantId }: Placement): boolean {
    if (isolation !== 'dedicated') return false;
    const served = this.#served.get(client) ?? new Set();
    this.#served.set(client, served.add(tenantId));
    return served.size >= this.#options.tenantsPerConnection;
  }
}

const away = (waitMs: number, cause?: unknown) =>
  new DomainError('placement.unavailable', { retryAfterSeconds: Math.max(1, Math.ceil(waitMs / 1_000)), cause });
const databaseBusy = () =>
  new DomainError('placement.busy', {
    detail: "All connections to the tenant's database are in use, by it or by others that share it: ask again later",
    retryAfterSeconds: 1,
  });

/** The same name may be on several servers. */
const databaseOf = ({ server, database }: Placement): string => `${server}/${database}`;

async function passwordOf(pool: Pool, keys: PostgresTenantsOptions['keys'], { placement, loginSecret }: PlacedLogin): Promise<string> {
  const { tenantId, isolation, generation } = placement;
  if (!('reveal' in keys)) return keys.passwordOf(tenantId, generation);
  if (isolation !== 'isolated') return databasePassword(pool, keys, placement);
  if (loginSecret === null) throw new Error(`The placement of ${tenantId} has no login`);
  return openLogin(keys, tenantId, loginSecret);
}

const gateRefusals: Readonly<Record<string, 'closed' | 'stale' | 'unknown'>> = { TG001: 'closed', TG002: 'stale', TG003: 'unknown' };
