import { Injectable } from '@nestjs/common';
import { DomainError } from '@tenantry/contracts/errors';
import { Database } from '@tenantry/service/database';
import { isControlPlane, loginOf } from '@tenantry/tenancy/servers';
import { sqlState } from '@tenantry/tenancy/sql';
import { databaseFiles, type OwnVersions, ownVersions, upgradeDatabase, upgradeScript, versionIn } from '@tenantry/tenancy/tenant-upgrade';
import { Tenants } from '@tenantry/tenancy/tenants';
import type { ClientBase } from 'pg';
import { outcomeOf } from '../blueprint/campaign-outcome.js';
import { Sessions } from '../blueprint/sessions.js';
import { type ItemOutcome, JobHandler, type JobItem } from '../job/job-handler.js';

const LOCK_TIMEOUT_MS = 1_500;

/** Takes the control plane's own tables of one tenant to this release, in one transaction. The schema's comment says what it has. */
@Injectable()
export class UpgradeSchemaJob extends JobHandler {
  override readonly type = 'schema-upgrade';
  private versions: Promise<OwnVersions> | undefined;

  constructor(
    private readonly database: Database,
    private readonly tenants: Tenants,
    private readonly sessions: Sessions,
  ) {
    super();
  }

  override async run({ tenantId, attempt }: JobItem): Promise<ItemOutcome> {
    const place = tenantId === null ? null : await this.tenants.placement(tenantId, { fresh: attempt > 1 });
    if (!place || place.isolation === 'shared')
      return { status: 'skipped', why: { code: 'placement.not_found', detail: 'The tenant has no place of its own any more.' } };
    const versions = await this.known();
    return this.sessions.run(place, async (client) => {
      try {
        if (!isControlPlane(place)) await upgradeDatabase(client, await databaseFiles(), loginOf(place));
        await this.upgrade(client, place, versions);
      } catch (error) {
        if (error instanceof DomainError) throw error;
        return outcomeOf(error, attempt);
      }
      await this.database.pool.query('UPDATE tenancy.placements SET schema_version = $2 WHERE tenant_id = $1 AND generation = $3', [
        place.tenantId,
        versions.current,
        place.generation,
      ]);
      return { status: 'succeeded' };
    });
  }

  private async upgrade(client: ClientBase, place: Parameters<typeof upgradeScript>[0], versions: OwnVersions): Promise<void> {
    const from = await versionIn(client, place.schema);
    if (from === versions.current) return;
    if (from === null || !versions.byVersion.has(from))
      throw new DomainError('schema.unknown_version', {
        detail: `The schema has the version ${from ?? 'of nothing'}, which this installation never had; is a newer release at work?`,
      });
    try {
      await client.query(
        `BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = ${LOCK_TIMEOUT_MS}; ${upgradeScript(place, from, versions)} COMMIT`,
      );
    } catch (error) {
      await client.query('ROLLBACK');
      // Somebody else has done it meanwhile.
      if (sqlState(error) !== 'TG005') throw error;
    }
  }

  known(): Promise<OwnVersions> {
    this.versions ??= ownVersions(this.database.pool).catch((error: unknown) => {
      this.versions = undefined;
      throw error;
    });
    return this.versions;
  }
}
