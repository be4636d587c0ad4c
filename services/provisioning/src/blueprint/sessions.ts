import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { Keyring } from '@tenantry/crypto/keyring';
import { Database } from '@tenantry/service/database';
import { Environment } from '@tenantry/service/environment';
import { urlFor } from '@tenantry/tenancy/login-secret';
import { CONTROL_PLANE_DATABASE } from '@tenantry/tenancy/names';
import { DEFAULT_SERVER, serverUrl } from '@tenantry/tenancy/servers';
import pg from 'pg';
import type { CampaignTarget } from './campaign-targets.js';

type Place = Pick<CampaignTarget, 'server' | 'database'>;

/** As many as one campaign may have at a time. */
const MOST = 8;
/** A backend keeps what it has seen of each schema's catalogue: it is replaced after so many schemas. */
const TARGETS_PER_SESSION = 200;
const reportedByQuery = () => undefined;

/** Sessions for changing schemas, apart from those that answer requests: long ones to the control plane, one per isolated database. */
@Injectable()
export class Sessions implements OnApplicationShutdown {
  private readonly pool: pg.Pool;

  constructor(
    private readonly environment: Environment,
    readonly database: Database,
    private readonly keyring: Keyring,
  ) {
    this.pool = new pg.Pool({
      connectionString: this.environment.values.TENANTRY_POSTGRES_URL,
      application_name: 'tenantry-provisioning-schemas',
      max: MOST,
      maxUses: TARGETS_PER_SESSION,
      idleTimeoutMillis: 5_000,
      connectionTimeoutMillis: 10_000,
      keepAlive: true,
    });
    this.pool.on('error', reportedByQuery);
  }

  isControlPlane({ server, database }: Place): boolean {
    return server === DEFAULT_SERVER && database === CONTROL_PLANE_DATABASE;
  }

  async run<T>(place: Place, work: (client: pg.ClientBase) => Promise<T>): Promise<T> {
    return this.isControlPlane(place) ? this.runPooled(work) : this.runAlone(place, work);
  }

  private async runPooled<T>(work: (client: pg.ClientBase) => Promise<T>): Promise<T> {
    const client = await this.pool.connect();
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

  private async runAlone<T>({ server, database }: Place, work: (client: pg.ClientBase) => Promise<T>): Promise<T> {
    const places = { pool: this.database.pool, url: this.environment.values.TENANTRY_POSTGRES_URL, keys: this.keyring };
    const client = new pg.Client({
      connectionString: urlFor(await serverUrl(places, server), database),
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
    await this.pool.end();
  }
}
