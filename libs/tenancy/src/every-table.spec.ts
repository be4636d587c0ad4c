import { randomUUID } from 'node:crypto';
import { services } from '@tenantry/contracts/route';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { placementFor, serviceLogin, serviceSchema } from './names.js';
import { createPlace } from './provision-schema.js';
import { type Platform, startPlatform } from './spec/platform.js';

/** Tables that every service reads: where tenants live, and the logs (row-level security says which). */
const READ_BY_ALL = new Set(['tenancy', 'log']);

/** What the catalogue says of every table there is: a new one is held to it without a line here. */
describe('every table', () => {
  let platform: Platform;
  const tenantId = randomUUID();
  beforeAll(async () => {
    platform = await startPlatform();
    await createPlace(platform.places, placementFor(tenantId, 'dedicated'));
  });
  afterAll(() => platform.stop());

  /** Tables of tenants that are open: without row-level security, not forced, without a policy, or in the hands of a tenant's role. */
  const open = async () => {
    const { rows } = await platform.admin.query<{ table: string }>(
      `SELECT n.nspname || '.' || c.relname AS table FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
       WHERE c.relkind IN ('r', 'p') AND n.nspname ~ '^(t_|shared$|app_shared$)'
         AND NOT (c.relrowsecurity AND c.relforcerowsecurity AND pg_get_userbyid(c.relowner) = 'tenantry_owner'
                  AND EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid)) ORDER BY 1`,
    );
    return rows.map(({ table }) => table);
  };
  const count = async (schema: string) =>
    (await platform.admin.query('SELECT FROM pg_tables WHERE schemaname = $1', [schema])).rowCount ?? 0;

  it('of tenants has forced row-level security and belongs to nobody who logs in', async () => {
    expect(await count('shared')).toBeGreaterThan(4);
    expect(await count(placementFor(tenantId, 'dedicated').schema)).toBe(await count('shared'));
    expect(await open()).toEqual([]);
  });

  it('that was forgotten would be found', async () => {
    await platform.admin.query('CREATE TABLE shared.forgotten (tenant_id uuid)');
    try {
      expect(await open()).toEqual(['shared.forgotten']);
    } finally {
      await platform.admin.query('DROP TABLE shared.forgotten');
    }
  });

  it('of a service is read by this service alone', async () => {
    const { rows } = await platform.admin.query<{ schema: string; table: string; login: string }>(
      `SELECT n.nspname AS schema, c.relname AS table, login FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, unnest($1::text[]) AS login
       WHERE c.relkind IN ('r', 'p', 'v', 'm') AND n.nspname = ANY($2) AND login <> 'tenantry_' || n.nspname
         AND has_schema_privilege(login, n.oid, 'USAGE') AND has_table_privilege(login, c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE')`,
      [services.map(serviceLogin), services.map(serviceSchema)],
    );
    expect(rows).toEqual([]);
  });

  it('of the platform is out of reach for a tenant’s role', async () => {
    const { role, schema, appSchema } = placementFor(tenantId, 'dedicated');
    const { rows } = await platform.admin.query<{ table: string }>(
      `SELECT n.nspname || '.' || c.relname AS table FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
       WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S') AND n.nspname NOT IN ('pg_catalog', 'information_schema', $2, $3)
         AND has_schema_privilege($1, n.oid, 'USAGE') AND has_table_privilege($1, c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE')`,
      [role, schema, appSchema],
    );
    expect(rows).toEqual([]);
  });

  it('that every service reads is changed only by its owner', async () => {
    const { rows } = await platform.admin.query<{ table: string; login: string }>(
      `SELECT n.nspname || '.' || c.relname AS table, login FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, unnest($1::text[]) AS login
       WHERE c.relkind IN ('r', 'p') AND n.nspname = ANY($2) AND login <> 'tenantry_provisioning'
         AND has_table_privilege(login, c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE') ORDER BY 1, 2`,
      [services.map(serviceLogin), [...READ_BY_ALL]],
    );
    expect(rows).toEqual([]);
  });
});
