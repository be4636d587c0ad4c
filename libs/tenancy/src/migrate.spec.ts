import { randomUUID } from 'node:crypto';
import { startPostgres } from '@tenantry/testing/postgres';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { urlFor } from './login-secret.js';
import { migrate } from './migrate.js';
import { serviceNames } from './migration-files.js';

describe('migrate', () => {
  let server: Awaited<ReturnType<typeof startPostgres>>;
  let passwords: Record<string, string>;
  let first: Awaited<ReturnType<typeof migrate>>[];
  beforeAll(async () => {
    server = await startPostgres();
    passwords = Object.fromEntries([...(await serviceNames()), 'blueprints'].map((service) => [service, `secret of ${service}`]));
    const run = () => migrate({ adminUrl: server.url, passwords });
    first = await Promise.all([run(), run(), run()]);
  });
  afterAll(() => server.stop());

  const connect = async (user: string, password: string, database = 'tenantry') => {
    const client = new pg.Client({ connectionString: urlFor(server.url, database, { user, password }) });
    await client.connect();
    return client;
  };

  it('applies everything once, however many run at the same time', () => {
    expect(first.filter((outcome) => outcome.applied.length > 0)).toHaveLength(1);
  });

  it('does nothing the second time, and says so quickly', async () => {
    const { applied, durationMs } = await migrate({ adminUrl: server.url, passwords });
    expect(applied).toEqual([]);
    expect(durationMs).toBeLessThan(2_000);
  });

  it('gives every service a login to its own schema and to no other', async () => {
    const relay = await connect('tenantry_relay', passwords['relay']!);
    try {
      await expect(relay.query('SELECT FROM relay.checkpoints')).resolves.toBeDefined();
      await expect(relay.query('SELECT FROM billing.checkpoints')).rejects.toThrow('permission denied');
      await expect(relay.query('SELECT FROM tenancy.placements')).resolves.toBeDefined();
      await expect(relay.query('DELETE FROM tenancy.placements')).rejects.toThrow('permission denied');
      await expect(relay.query('CREATE ROLE other')).rejects.toThrow('permission denied');
      await expect(relay.query('SET ROLE tenantry_owner')).rejects.toThrow('permission denied');
      await expect(relay.query('SET ROLE tenantry_services')).rejects.toThrow('permission denied');
    } finally {
      await relay.end();
    }
  });

  it('changes a password that has changed, and nothing else', async () => {
    const changed = { ...passwords, billing: 'another secret' };
    expect((await migrate({ adminUrl: server.url, passwords: changed })).applied).toEqual(['roles/logins']);
    await (await connect('tenantry_billing', 'another secret')).end();
    await expect(connect('tenantry_billing', passwords['billing']!)).rejects.toThrow('password authentication failed');
    expect((await migrate({ adminUrl: server.url, passwords })).applied).toEqual(['roles/logins']);
  });

  it('names the services that have no password', async () => {
    const { relay: _, ...rest } = passwords;
    await expect(migrate({ adminUrl: server.url, passwords: rest })).rejects.toThrow('relay');
  });

  it('marks those who were erased before there was a mark, and nobody else', async () => {
    const admin = await connect('postgres', 'postgres');
    try {
      const [gone, leaving] = [randomUUID(), randomUUID()];
      await admin.query('INSERT INTO log.heads (tenant_id, position) SELECT unnest($1::uuid[]), 0', [[gone, leaving]]);
      await admin.query(
        `INSERT INTO log.events (tenant_id, position, stream, stream_version, id, context, type, version, data, metadata, body_hash, leaf, recorded_at)
         SELECT t, 0, 'tenant', 0, gen_random_uuid(), 'tenant', CASE t WHEN $2 THEN 'TenantErased' ELSE 'TenantErasureStarted' END, 1,
           jsonb_build_object('operationId', t), '{}', '', '', '2026-01-02T03:04:05Z' FROM unnest($1::uuid[]) t`,
        [[gone, leaving], gone],
      );
      await admin.query(`DELETE FROM tenancy.migrations WHERE component = 'provisioning' AND file = '0068_erased_before.sql'`);
      expect((await migrate({ adminUrl: server.url, passwords })).applied).toEqual(['provisioning/0068_erased_before.sql']);
      const { rows } = await admin.query('SELECT tenant_id, operation_id, since FROM tenancy.erased');
      expect(rows).toEqual([{ tenant_id: gone, operation_id: gone, since: new Date('2026-01-02T03:04:05Z') }]);
    } finally {
      await admin.end();
    }
  });

  it('refuses a file that was changed after it was applied, by name', async () => {
    const admin = await connect('postgres', 'postgres');
    try {
      await admin.query(`UPDATE tenancy.migrations SET sha256 = 'x' WHERE component = 'tenancy' AND file = '0001_placements.sql'`);
      await expect(migrate({ adminUrl: server.url, passwords })).rejects.toThrow(/have changed since[\s\S]*tenancy: 0001_placements.sql/);
      await admin.query(`DELETE FROM tenancy.migrations WHERE component = 'tenancy' AND file = '0001_placements.sql'`);
      await expect(migrate({ adminUrl: server.url, passwords })).rejects.toThrow('0001_placements.sql: relation "servers" already exists');
    } finally {
      await admin.end();
    }
  });

  it('needs no superuser, only rights to make roles and databases', async () => {
    const managed = await startPostgres();
    try {
      const admin = new pg.Client({ connectionString: managed.url });
      await admin.connect();
      await admin.query(`CREATE ROLE manager LOGIN CREATEROLE CREATEDB PASSWORD 'manager'`);
      await admin.end();
      const adminUrl = urlFor(managed.url, 'postgres', { user: 'manager', password: 'manager' });
      expect((await migrate({ adminUrl, passwords })).applied).toContain('roles/logins');
      expect((await migrate({ adminUrl, passwords })).applied).toEqual([]);
    } finally {
      await managed.stop();
    }
  });

  it('keeps no password in the database in clear', async () => {
    const admin = await connect('postgres', 'postgres');
    try {
      const { rows } = await admin.query(
        `SELECT rolname FROM pg_authid WHERE rolname LIKE 'tenantry%' AND rolcanlogin AND rolpassword NOT LIKE 'SCRAM-SHA-256$%'`,
      );
      expect(rows).toEqual([]);
    } finally {
      await admin.end();
    }
  });
});
