import { Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { derivedId, PLATFORM_LOG } from '@tenantry/contracts/ids';
import { Keyring } from '@tenantry/crypto/keyring';
import { type Target, TenantLog } from '@tenantry/event-store/tenant-log';
import { Logger } from '@tenantry/observability/logger';
import { Database } from '@tenantry/service/database';
import { Environment } from '@tenantry/service/environment';
import { every } from '@tenantry/service/every';
import { upgradeDatabases } from '@tenantry/tenancy/register-database';
import { upgradeServers } from '@tenantry/tenancy/register-server';
import { systemCommand } from '../saga/system-command.js';
import { type FoundServer, sayServer, serverSaid } from './server.js';

const EVERY_MS = 600_000;

interface Row {
  name: string;
  url: string | null;
  region: string | null;
  capacity: number | null;
  databases: FoundServer['databases'];
}

/**
 * Servers and databases, as the platform's log tells of them. They are changed in their tables first; who died in between is made up for
 * here, as are servers and databases that an earlier release prepared.
 */
@Injectable()
export class ServerEvents implements OnApplicationBootstrap, OnApplicationShutdown {
  private end?: () => Promise<void>;

  constructor(
    private readonly log: TenantLog,
    private readonly database: Database,
    private readonly keyring: Keyring,
    private readonly environment: Environment,
    private readonly logger: Logger,
  ) {}

  onApplicationBootstrap(): void {
    if (this.environment.values.TENANTRY_ROLE === 'api') return;
    const failed = (error: unknown) =>
      this.logger.warn({ err: error }, 'servers and databases could not be looked through; the next round tries again');
    void this.mend().catch(failed);
    this.end = every(EVERY_MS, () => this.mend(), failed);
  }
  async onApplicationShutdown(): Promise<void> {
    await this.end?.();
  }

  /** What of a server is not in the log yet. */
  async say(server: string, command: Target['command']): Promise<void> {
    const found = (await this.found()).get(server);
    if (found) await this.log.transact(serverSaid, { tenant: PLATFORM_LOG, stream: `server-${server}`, command }, sayServer(found));
  }

  async mend(): Promise<void> {
    const places = { pool: this.database.pool, url: this.environment.values.TENANTRY_POSTGRES_URL, keys: this.keyring };
    await upgradeServers(places, (server, error) =>
      this.logger.warn({ err: error, server }, 'a server could not be brought to this release; the next round tries again'),
    );
    await upgradeDatabases(places, (at, error) =>
      this.logger.warn(
        { err: error, ...at },
        'a database of many tenants could not be brought to this release; the next round tries again',
      ),
    );
    for (const [name, found] of await this.found()) {
      const { state, version } = await this.log.load(serverSaid, { tenant: PLATFORM_LOG, stream: `server-${name}` });
      if (sayServer(found)(state).length > 0)
        await this.say(name, systemCommand(derivedId('command', 'server-said', name, version, JSON.stringify(found))));
    }
  }

  private async found(): Promise<Map<string, FoundServer>> {
    const { rows } = await this.database.pool.query<Row>(
      `SELECT name, url, region, capacity, coalesce((SELECT json_agg(json_build_object('server', d.server, 'name', d.name, 'capacity', d.capacity,
           'accepts', d.accepts) ORDER BY d.name) FROM tenancy.databases d WHERE d.server = s.name AND d.ready), '[]') AS databases
       FROM tenancy.servers s WHERE ready ORDER BY name`,
    );
    return new Map(
      rows.map(({ name, url, region, capacity, databases }) => {
        const at = url === null ? {} : { host: new URL(url).hostname, port: Number(new URL(url).port) };
        return [name, { server: { name, region, capacity, ...at }, databases }];
      }),
    );
  }
}
