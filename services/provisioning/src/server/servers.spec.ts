import { randomUUID } from 'node:crypto';
import type { Keyring } from '@tenantry/crypto/keyring';
import type { Database } from '@tenantry/service/database';
import type { Environment } from '@tenantry/service/environment';
import { urlFor } from '@tenantry/tenancy/login-secret';
import { placementFor } from '@tenantry/tenancy/names';
import { PostgresTenants } from '@tenantry/tenancy/postgres-tenants';
import { createPlace } from '@tenantry/tenancy/provision-schema';
import { isControlPlane } from '@tenantry/tenancy/servers';
import { type Platform, startPlatform } from '@tenantry/tenancy/spec/platform';
import { type RunningPostgres, startPostgres } from '@tenantry/testing/postgres';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CampaignTargets, targetName } from '../blueprint/campaign-targets.js';
import { Sessions } from '../blueprint/sessions.js';
import type { JobItem } from '../job/job-handler.js';
import { UpgradeSchemaJob } from '../upgrade/upgrade-schema.job.js';
import { Databases } from './databases.js';
import { Servers } from './servers.js';

describe('servers', () => {
  let platform: Platform;
  let other: RunningPostgres;
  let servers: Servers;
  let database: Database;
  let parts: [Environment, Database, Keyring];
  beforeAll(async () => {
    [platform, other] = await Promise.all([startPlatform(), startPostgres()]);
    database = { pool: platform.places.pool } as Database;
    const environment = { values: { TENANTRY_POSTGRES_URL: platform.places.url } } as Environment;
    parts = [environment, database, platform.places.keys as Keyring];
    servers = new Servers(database, environment, platform.places.keys as Keyring);
  }, 60_000);
  afterAll(async () => {
    await platform.stop();
    await other.stop();
  });

  it('keep what is not named, and lose what is null', async () => {
    expect(await servers.put('eu-1', other.url, { region: 'eu', capacity: 5 })).toEqual({ created: true });
    expect(await servers.put('eu-1', other.url, { capacity: 0 })).toEqual({ created: false });
    expect(await servers.put('eu-1', undefined, { region: null })).toEqual({ created: false });
    expect(await servers.put('default', undefined, { region: 'us' })).toEqual({ created: false });
    expect(await servers.list()).toMatchObject([
      { name: 'default', host: null, region: 'us', capacity: null, isolations: ['shared', 'dedicated', 'isolated'] },
      { name: 'eu-1', host: '127.0.0.1', port: Number(new URL(other.url).port), region: null, capacity: 0, isolations: ['isolated'] },
    ]);
    expect(await servers.regionOf('default')).toBe('us');
    await expect(servers.put('eu-2', undefined, {})).rejects.toMatchObject({ errors: [{ field: 'url', rule: 'required' }] });
  });

  it('have databases for shared tenants, each one target of campaigns as long as it takes them', async () => {
    const databases = new Databases(database, parts[0], parts[2], platform.places.app);
    const name = 'shared_of_eu';
    const targets = async () => (await new CampaignTargets(database).shared('shop')).map(targetName);
    expect(await databases.put('eu-1', name, {})).toEqual({ created: true });
    expect((await databases.rooms()).find((server) => server.name === 'eu-1')?.databases).toMatchObject([{ name, hasShared: false }]);
    await databases.put('eu-1', name, { accepts: ['shared', 'dedicated'] });
    expect((await databases.rooms()).find((server) => server.name === 'eu-1')?.databases).toMatchObject([
      { name, hasShared: true, accepts: ['shared', 'dedicated'] },
    ]);
    expect(await targets()).toEqual([`eu-1/${name}.app_shared`]);
    await databases.put('eu-1', name, { accepts: [] });
    expect(await targets()).toEqual([]);
    const tooLong = databases.put('eu-1', 'n'.repeat(60), { accepts: ['shared'] });
    await expect(tooLong).rejects.toMatchObject({ errors: [{ field: 'accepts', rule: 'takes_level' }] });
  });

  it.each(['isolated', 'dedicated'] as const)('elsewhere are reached by the upgrade to a new release: %s', async (isolation) => {
    const name = 'tenants_of_eu';
    await new Databases(database, parts[0], parts[2], platform.places.app).put('eu-1', name, {});
    const place = placementFor(randomUUID(), isolation, { server: 'eu-1', database: name });
    await createPlace(platform.places, place);
    const admin = new pg.Client({ connectionString: urlFor(other.url, place.database) });
    await admin.connect();
    // As a database of an earlier release is.
    await admin.query(
      `DROP TABLE tenancy.app_ledger; DROP FUNCTION tenancy.advance_app, tenancy.run_app, tenancy.change_app, tenancy.app_faults;
       REVOKE CONNECT ON DATABASE ${place.database} FROM tenantry_blueprints; DELETE FROM tenancy.migrations WHERE file ~ '^00(06|61)'`,
    );
    await platform.admin.query('UPDATE tenancy.placements SET schema_version = NULL WHERE tenant_id = $1', [place.tenantId]);

    const sessions = new Sessions(...parts);
    const tenants = new PostgresTenants(platform.places);
    const job = new UpgradeSchemaJob(database, tenants, sessions);
    expect(await job.run({ tenantId: place.tenantId, attempt: 1 } as JobItem)).toEqual({ status: 'succeeded' });
    expect((await admin.query(`SELECT to_regclass('tenancy.app_ledger') IS NOT NULL AS there`)).rows).toEqual([{ there: true }]);
    const seen = await platform.places.app.run(place, (client) =>
      client
        .query(`SELECT tenancy.run_app($1, $2, '{CREATE TABLE made ()}')`, [place.appSchema, place.tenantId])
        .catch(({ message }) => message),
    );
    // The login is let in. No version was ever applied there: the right to use the schema comes with the first.
    expect(seen).toBe('3F000 in statement 1');
    const { rows } = await platform.admin.query('SELECT schema_version FROM tenancy.placements WHERE tenant_id = $1', [place.tenantId]);
    expect(rows).toEqual([{ schema_version: (await job.known()).current }]);
    expect(isControlPlane({ server: 'eu-1', database: 'tenantry' })).toBe(false);
    await Promise.all([admin.end(), sessions.onApplicationShutdown(), tenants.close()]);
  });
});
