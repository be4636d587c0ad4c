import { faces, routes } from '@tenantry/contracts/registry';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Api } from '../harness/api.js';
import { type RunFile, sharedSystem } from '../harness/system.js';
import { activeTenant, PLATFORM, unique } from '../harness/tenants.js';

let api: Api;
let run: RunFile;
const levels = ['shared', 'dedicated', 'isolated'] as const;
type Known = { id: string; key: string; place: any };
const own: Record<string, Known> = {};
let foreign: Known;

async function make(isolation: string): Promise<Known> {
  const { tenant } = await activeTenant(api, { name: unique('Iso'), isolation, adminEmail: 'a@iso.example' });
  const { body } = await api.post(`${PLATFORM}/tenants/${tenant.id}/api-keys`, { name: 'test' });
  const place = (await api.get(`${PLATFORM}/tenants/${tenant.id}/placement`)).body;
  return { id: tenant.id, key: body.key, place };
}

beforeAll(async () => {
  ({ api, run } = await sharedSystem());
  for (const level of levels) own[level] = await make(level);
  foreign = await make('dedicated');
}, 60_000);

/** A request for every tenant-scoped face, and every platform route, made from the registry: a new one is covered by itself. */
const sample: Record<string, string> = {
  key: 'timezone',
  keyId: '00000000-0000-4000-8000-000000000000',
  status: 'active',
  planId: 'free',
  operationId: '00000000-0000-4000-8000-000000000000',
  subscriptionId: '00000000-0000-4000-8000-000000000000',
  approvalId: '00000000-0000-4000-8000-000000000000',
  version: '1',
  from: '1',
  to: '1',
};
const fill = (path: string, tenantId: string) =>
  path.replace(/:(\w+)/g, (_match, name) => (name === 'tenantId' ? tenantId : (sample[name] ?? 'x')));
const bodyOf: Record<string, unknown> = {
  'quotas.check': { resource_type: 'users' },
  'usage.increment': { resource_type: 'users' },
  'usage.release': { resource_type: 'users' },
  'api-keys.create': { name: 'x' },
  'tenant-event-subscriptions.create': { name: 'x', contexts: 'all', from: 'new' },
  'tenant-event-subscriptions.replay': { from: 'first' },
};

describe('with a tenant’s key', () => {
  it.each(levels)('of a %s tenant every other tenant’s resource answers 404', async (level) => {
    const as = api.as((own[level] as Known).key);
    const tried = faces.filter((face) => face.path.includes(':tenantId') && face.scope === 'tenant');
    expect(tried.length).toBeGreaterThan(8);
    for (const face of tried) {
      const reply = await as.raw(face.method, fill(face.path, foreign.id), {
        headers: { authorization: `Bearer ${as.key}`, 'content-type': 'application/json' },
        body: face.method === 'GET' || face.method === 'DELETE' ? undefined : JSON.stringify(bodyOf[face.of.name] ?? {}),
      });
      expect(`${face.method} ${face.path} ${reply.status}`).toBe(`${face.method} ${face.path} 404`);
    }
  });
  it('the platform surface answers 403', async () => {
    const as = api.as((own['dedicated'] as Known).key);
    for (const route of routes.filter(({ scope }) => scope === 'platform')) {
      for (const id of [foreign.id, (own['dedicated'] as Known).id]) {
        const reply = await as.raw(route.method, fill(route.path, id), {
          headers: { authorization: `Bearer ${as.key}`, 'content-type': 'application/json' },
          body: route.method === 'GET' || route.method === 'DELETE' ? undefined : '{}',
        });
        expect(`${route.method} ${route.path} ${reply.status}`).toBe(`${route.method} ${route.path} 403`);
      }
    }
  });
  it('its own resources are there', async () => {
    const { key, id } = own['dedicated'] as Known;
    const [operation] = (await api.as(key).get(`/api/tenants/${id}/operations`)).body;
    const { body } = await api.as(key).post(`/api/tenants/${id}/event-subscriptions`, { name: 'own', contexts: 'all', from: 'new' });
    expect((await api.as(key).put(fill('/api/tenants/:tenantId/files/:key', id), { content: '' })).status).toBe(200);
    for (const face of faces.filter((face) => face.method === 'GET' && face.scope === 'tenant')) {
      const path = face.path.replace(':subscriptionId', body.id).replace(':operationId', operation.id);
      const reply = await api.as(key).get(fill(path, id));
      expect(`${face.path} ${reply.status}`).toBe(`${face.path} 200`);
    }
  });
  it('a tenant of a header changes nothing', async () => {
    const reply = await api
      .as((own['shared'] as Known).key)
      .get('/api/tenants/current', { 'x-tenant-id': foreign.id, 'tenantry-tenant': foreign.id });
    expect(reply.body.tenant_id).toBe((own['shared'] as Known).id);
  });
});

const database = (name: string) => run.postgresUrl.replace(/\/[^/]*$/, `/${name}`);

describe.each(levels)('SQL in the context of a %s tenant', (level) => {
  let client: pg.Client;
  let tenant: Known;
  let tables: string[];
  beforeAll(async () => {
    tenant = own[level] as Known;
    client = new pg.Client({ connectionString: database(tenant.place.database) });
    await client.connect();
    const { rows } = await client.query('SELECT tablename FROM pg_tables WHERE schemaname = $1', [tenant.place.schema]);
    tables = rows.map((row) => row.tablename);
    expect(tables.length).toBeGreaterThan(4);
  });
  afterAll(() => client?.end());

  const as = async (tenantId: string | null, work: () => Promise<void>) => {
    await client.query('BEGIN');
    try {
      await client.query(`SET LOCAL ROLE "${tenant.place.role}"`);
      await client.query(`SET LOCAL search_path = "${tenant.place.schema}"`);
      if (tenantId) await client.query("SELECT set_config('app.tenant_id', $1, true)", [tenantId]);
      await work();
    } finally {
      await client.query('ROLLBACK');
    }
  };

  it('fails without a context', async () => {
    for (const table of tables) await as(null, () => expect(client.query(`SELECT * FROM "${table}"`)).rejects.toThrow());
  });
  it('reads nothing in another tenant’s', async () => {
    for (const table of tables) await as(foreign.id, async () => expect((await client.query(`SELECT * FROM "${table}"`)).rowCount).toBe(0));
  });
  it('reads only its own rows in its own', async () => {
    for (const table of tables)
      await as(tenant.id, async () => {
        const { rows } = await client.query(`SELECT DISTINCT tenant_id FROM "${table}"`);
        expect(rows.every((row) => row.tenant_id === tenant.id)).toBe(true);
      });
  });
  it('can’t write a row of another tenant', async () => {
    await as(tenant.id, () =>
      expect(
        client.query(
          'INSERT INTO config_settings (tenant_id, key, value, type, category, encrypted, updated_at) VALUES ($1, $2, $3, $4, $5, false, now())',
          [foreign.id, 'x', '{}', 'string', 'general'],
        ),
      ).rejects.toThrow(/row-level security/),
    );
  });
  it('can’t name another schema', async () => {
    const others = [
      `"${foreign.place.schema}".config_settings`,
      'log.events',
      'identity.tenant_keys',
      'provisioning.tenants',
      'tenancy.placements',
    ];
    for (const other of others)
      await as(tenant.id, () => expect(client.query(`SELECT * FROM ${other}`)).rejects.toThrow(/permission denied|does not exist/));
  });
});

describe('arbitrary SQL with the login of an isolated tenant', () => {
  it('can’t leave its database', async () => {
    const { place } = own['isolated'] as Known;
    const admin = new pg.Client({ connectionString: database('tenantry') });
    await admin.connect();
    const password = 'for-this-test-only';
    await admin.query(`ALTER ROLE "${place.role}" PASSWORD '${password}'`);
    const login = (name: string) => {
      const url = new URL(database(name));
      url.username = place.role;
      url.password = password;
      return new pg.Client({ connectionString: url.href });
    };
    try {
      const inside = login(place.database);
      await inside.connect();
      for (const sql of [
        'SET ROLE tenantry_owner',
        'SET ROLE postgres',
        'SET SESSION AUTHORIZATION postgres',
        'CREATE DATABASE x',
        'CREATE ROLE x',
        "COPY (SELECT 1) TO PROGRAM 'true'",
        "SELECT pg_read_file('/etc/passwd')",
      ])
        await expect(inside.query(sql), sql).rejects.toThrow();
      await inside.end();
      for (const other of ['tenantry', 'postgres', 'template1'])
        await expect(login(other).connect(), other).rejects.toThrow(/permission denied|CONNECT/);
    } finally {
      await admin.end();
    }
  });
});
