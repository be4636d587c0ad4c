import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readCatalogue } from './catalogue.js';
import { stampOf } from './compile.js';
import { urlFor } from './login-secret.js';
import { sha256 } from './migration-files.js';
import { placementFor } from './names.js';
import type { Placement } from './placement.js';
import { PostgresTenants } from './postgres-tenants.js';
import { createPlace } from './provision-schema.js';
import { type Platform, startPlatform, testKeys } from './spec/platform.js';
import { cumulated, databaseFiles, type OwnVersions, ownVersions, upgradeDatabase, upgradeScript, versionIn } from './tenant-upgrade.js';

const file = (name: string, sql: string) => ({ name, sql, sha256: sha256(sql) });

it('knows which files every version of the installation had, in the order of the files, not of their coming', () => {
  const files = [file('a/1', 'x'), file('a/2', 'y'), file('b/1', 'z')];
  const versions = [...cumulated(files, [['b/1', 'a/1'], ['a/2']]).entries()];
  expect(versions.map(([, names]) => [...names].sort())).toEqual([
    ['a/1', 'b/1'],
    ['a/1', 'a/2', 'b/1'],
  ]);
  expect(new Set(versions.map(([version]) => version)).size).toBe(2);
});

describe('a tenant of an earlier release', () => {
  let platform: Platform;
  let own: OwnVersions;
  let next: OwnVersions;
  const dedicated = placementFor(randomUUID(), 'dedicated');
  const isolated = placementFor(randomUUID(), 'isolated');
  beforeAll(async () => {
    platform = await startPlatform();
    for (const place of [dedicated, isolated]) await createPlace(platform.places, place);
    own = await ownVersions(platform.places.pool);
    const added = file(
      'zulu/0001_x.sql',
      'CREATE TABLE zulu_things (tenant_id uuid NOT NULL, id int, PRIMARY KEY (tenant_id, id)); ALTER TABLE checkpoints ADD COLUMN note text',
    );
    const files = [...own.files, added];
    next = { current: 'feedfacefeedface', files, byVersion: own.byVersion };
  }, 60_000);
  afterAll(() => platform?.stop());

  const connect = async ({ database }: Placement) => {
    const client = new pg.Client({ connectionString: urlFor(platform.places.url, database) });
    await client.connect();
    return client;
  };

  it('says its version', async () => {
    expect(own.byVersion.get(own.current)).toEqual(new Set(own.files.map(({ name }) => name)));
    const { rows } = await platform.admin.query('SELECT DISTINCT schema_version FROM tenancy.placements');
    expect(rows).toEqual([{ schema_version: own.current }]);
  });

  it.each([dedicated, isolated])('gets what it misses, with rights and row-level security, once: $isolation', async (place) => {
    const client = await connect(place);
    try {
      const upgrade = () => client.query(`BEGIN; ${upgradeScript(place, own.current, next)} COMMIT`);
      await upgrade();
      expect(await versionIn(client, place.schema)).toBe(next.current);
      await expect(upgrade()).rejects.toMatchObject({ code: 'TG005' });
      await client.query('ROLLBACK');
      await client.query('BEGIN; SET LOCAL ROLE tenantry_owner');
      const { tables } = await readCatalogue(client, place.schema, place.role);
      await client.query('ROLLBACK');
      const made = tables.find(({ name }) => name === 'zulu_things')!;
      const like = tables.find(({ name }) => name === 'checkpoints')!;
      expect(made).toMatchObject({ rowSecurity: true, forced: true, policies: like.policies, grants: like.grants });
      expect(like.columns.at(-1)).toMatchObject({ name: 'note' });
    } finally {
      await client.end();
    }
    const tenants = new PostgresTenants({ pool: platform.places.pool, url: platform.places.url, keys: testKeys });
    await tenants.withTenant(place.tenantId, async (tx) => tx.client.query('INSERT INTO zulu_things VALUES ($1, 1)', [place.tenantId]));
    await tenants.close();
  });

  it('is refused where its version was never one of the installation', () => {
    expect(() => upgradeScript(dedicated, 'other', next)).toThrow('never had the version other');
    expect(stampOf('other')).toBe('tenantry other');
  });

  it('in an isolated database also gets what every database needs', async () => {
    const client = await connect(isolated);
    const files = await databaseFiles();
    try {
      // As it was before there was a ledger.
      await client.query(
        'BEGIN; SET LOCAL ROLE tenantry_owner; DROP TABLE tenancy.migrations, tenancy.app_ledger; DROP FUNCTION tenancy.advance_app; COMMIT',
      );
      const only = files.filter(({ name }) => name === '0001_gate.sql' || name === '0006_app_ledger.sql');
      await upgradeDatabase(client, only, isolated.role);
      await upgradeDatabase(client, only, isolated.role);
      await client.query('BEGIN; SET LOCAL ROLE tenantry_owner');
      expect((await client.query('SELECT file FROM tenancy.migrations ORDER BY file')).rows.map((row) => row.file)).toEqual(
        only.map(({ name }) => name),
      );
      expect((await client.query('SELECT FROM tenancy.app_ledger')).rowCount).toBe(0);
      await client.query('ROLLBACK');
    } finally {
      await client.end();
    }
  });
});
