import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { Keyring } from '@tenantry/crypto/keyring';
import { Database } from '@tenantry/service/database';
import { Environment } from '@tenantry/service/environment';
import { urlFor } from '@tenantry/tenancy/login-secret';
import { isControlPlane, serverUrl } from '@tenantry/tenancy/servers';
import pg from 'pg';
import type { CampaignTarget } from './campaign-targets.js';

type Place = Pick<CampaignTarget, 'isolation' | 'server' | 'database'>;

/** As many as one campaign may have at a time. */
const MOST = 8;
/** A backend keeps what it has seen of each schema's catalogue: it is replaced after so many schemas. */
const TARGETS_PER_SESSION = 200;
const reportedByQuery = () => undefined;

/** Sessions for changing schemas, apart from those that answer requests: long ones to databases of many tenants, one at a time to each isolated one. */
@Injectable()
export class Sessions implements OnApplicationShutdown {
  /** By server and database. */
  private readonly pools = new Map<string, Promise<pg.Pool>>();

  constructor(
    private readonly environment: Environment,
    readonly database: Database,
    private readonly keyring: Keyring,
  ) {}

  async run<T>(place: Place, work: (client: pg.ClientBase) => Promise<T>): Promise<T> {
    return place.isolation === 'isolated' ? this.runAlone(place, work) : this.runPooled(await this.pool(place), work);
  }

  private pool(place: Place): Promise<pg.Pool> {
    const key = `${place.server}/${place.database}`;
    let pool = this.pools.get(key);
    if (!pool) {
      pool = this.open(place);
      this.pools.set(key, pool);
      pool.catch(() => this.pools.delete(key));
    }
    return pool;
  }

  private async open(place: Place): Promise<pg.Pool> {
    const pool = new pg.Pool({
      connectionString: await this.urlOf(place),
      application_name: 'tenantry-provisioning-schemas',
      max: MOST,
      maxUses: TARGETS_PER_SESSION,
      idleTimeoutMillis: 5_000,
      connectionTimeoutMillis: 10_000,
      keepAlive: true,
    });
    pool.on('error', reportedByQuery);
    return pool;
  }

  private async urlOf({ server, database }: Place): Promise<string> {
    const url = this.environment.values.TENANTRY_POSTGRES_URL;
    if (isControlPlane({ server, database })) return url;
    return urlFor(await serverUrl({ pool: this.database.pool, url, keys: this.keyring }, server), database);
  }

  private async runPooled<T>(pool: pg.Pool, work: (client: pg.ClientBase) => Promise<T>): Promise<T> {
    const client = await pool.connect();
    client.on('error', reportedByQuery);
    let broken = true;
    try {
      const result = await work(client);
      broken = false;
      return result;
    } catch (error) {
      // A server's refusal leaves the connection usable; anything else may not.
      broken = !(error instanceof pg.DatabaseError && error.severity === 'ERROR');
      throw error;
    } finally {
      client.off('error', reportedByQuery);
      client.release(broken);
    }
  }

  private async runAlone<T>(place: Place, work: (client: pg.ClientBase) => Promise<T>): Promise<T> {
    const client = new pg.Client({
      connectionString: await this.urlOf(place),
      application_name: 'tenantry-provisioning-schemas',
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

  async onApplicationShutdown(): Promise<void> {
    const open = await Promise.allSettled(this.pools.values());
    await Promise.all(open.map((pool) => (pool.status === 'fulfilled' ? pool.value.end() : undefined)));
  }
}
