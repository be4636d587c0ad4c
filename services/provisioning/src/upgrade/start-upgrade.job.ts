import { createHash } from 'node:crypto';
import { Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { derivedId } from '@tenantry/contracts/ids';
import { Logger } from '@tenantry/observability/logger';
import { Database } from '@tenantry/service/database';
import { Environment } from '@tenantry/service/environment';
import { every } from '@tenantry/service/every';
import { Jobs } from '../job/jobs.js';
import { systemCommand } from '../saga/system-command.js';
import { UpgradeSchemaJob } from './upgrade-schema.job.js';

const EVERY_MS = 60_000;
const CONCURRENCY = 4;
/** In one job; the next round takes the rest. */
const MOST = 10_000;

/**
 * After an upgrade the schemas of dedicated and isolated tenants still have the tables of the release before: as soon as this release
 * is there, work over many tenants takes them forward. Tenants that an older process makes meanwhile are found by a later round.
 */
@Injectable()
export class StartUpgrade implements OnApplicationBootstrap, OnApplicationShutdown {
  private end?: () => Promise<void>;
  constructor(
    private readonly database: Database,
    private readonly jobs: Jobs,
    private readonly upgrade: UpgradeSchemaJob,
    private readonly logger: Logger,
    private readonly environment: Environment,
  ) {}

  onApplicationBootstrap(): void {
    if (this.environment.values.TENANTRY_ROLE === 'api') return;
    const failed = (error: unknown) =>
      this.logger.warn({ err: error }, 'tenants’ schemas of an earlier release could not be looked for; the next round tries again');
    void this.start().catch(failed);
    this.end = every(EVERY_MS, () => this.start(), failed);
  }
  async onApplicationShutdown(): Promise<void> {
    await this.end?.();
  }

  async start(): Promise<void> {
    const { current, byVersion } = await this.upgrade.known();
    // What a newer release has taken forward is left to it.
    const earlier = [...byVersion.keys()].filter((version) => version !== current);
    const { rows } = await this.database.pool.query<{ tenant_id: string; target: string }>(
      `SELECT tenant_id, database || '.' || schema AS target FROM tenancy.placements
       WHERE isolation <> 'shared' AND ready AND (schema_version IS NULL OR schema_version = ANY ($1)) ORDER BY tenant_id LIMIT $2`,
      [earlier, MOST],
    );
    if (rows.length === 0) return;
    const items = rows.map(({ tenant_id, target }) => ({ tenantId: tenant_id, target, wave: 1 }));
    // The same tenants give the same job: what failed in it is for an operator to retry.
    const who = createHash('sha256')
      .update(rows.map(({ tenant_id }) => tenant_id).join())
      .digest('hex');
    const command = systemCommand(derivedId('command', 'schema-upgrade', current, who));
    const operationId = await this.jobs.start(
      { type: 'schema-upgrade', params: { version: current }, items, concurrency: CONCURRENCY },
      command,
    );
    this.logger.info({ operationId, tenants: rows.length, version: current }, 'tenants’ schemas are taken to this release');
  }
}
