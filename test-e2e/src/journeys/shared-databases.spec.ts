import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { eventually } from '@tenantry/testing/eventually';
import { type RunningPostgres, startPostgres } from '@tenantry/testing/postgres';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { erase } from '../harness/deletion.js';
import { notesOf, operationEnded, product, writer } from '../harness/move-load.js';
import { type System, startSystem } from '../harness/system.js';
import { activeTenant, PLATFORM, unique } from '../harness/tenants.js';

const SERVERS = `${PLATFORM}/servers`;
const HOME = { server: 'default', name: 'tenantry' };
const BESIDE = { server: 'default', name: 'shared_2' };
const ABROAD = { server: 'abroad', name: 'shared_3' };
type At = typeof HOME;
/** Provisioning dies at each of them, once, in the first moves that come there. */
const deaths = ['switch.done', 'retire.done', 'gate.closed', 'gate.left', 'gate.placed'].map((point) => `move.${point}`);

// A system of its own: its blueprints would come to every other spec's tenants, and its databases into every other spec's campaigns.
let system: System;
let other: RunningPostgres;
/** Who was moved, and who lives beside it. */
let moved: { id: string; slug: string };
let neighbour: { id: string };
beforeAll(async () => {
  [system, other] = await Promise.all([
    startSystem({ TENANTRY_FAULT: deaths.map((point) => `provisioning:${point}:kill`).join(',') }),
    startPostgres(),
  ]);
}, 120_000);
afterAll(async () => {
  expect(await system?.stop()).toBe(0);
  await other?.stop();
}, 40_000);

const query = async (at: At, text: string, values: unknown[] = []) => {
  const url = new URL(at.server === 'default' ? (await system.run()).postgresUrl : other.url);
  url.pathname = `/${at.name}`;
  const client = new pg.Client({ connectionString: url.href });
  await client.connect();
  try {
    return (await client.query(text, values)).rows;
  } finally {
    await client.end();
  }
};
const put = ({ server, name }: At, terms: object) => system.api.post(`${SERVERS}/${server}/databases`, { name, ...terms });
const placementOf = async (id: string) => (await system.api.get(`${PLATFORM}/tenants/${id}/placement`)).body;
const shared = (about: object = {}) => ({
  name: unique('Shared'),
  isolation: 'shared',
  plan: 'enterprise',
  adminEmail: 'ada@shared.example',
  ...about,
});
const rowsIn = async (at: At, tenantId: string): Promise<number> =>
  (await query(at, 'SELECT count(*)::int AS n FROM app_shared.notes WHERE tenant_id = $1', [tenantId]))[0].n;
const ended = (url: string) =>
  eventually(
    async () => {
      const { body, text } = await system.api.get(url);
      if (!body?.finishedAt) throw new Error(text);
      return body;
    },
    { timeoutMs: 60_000, what: 'the operation to end' },
  );
const blueprint = `${PLATFORM}/blueprints/notes`;
const publish = async (version: number, sql: string) => {
  const answer = await system.api.post(`${blueprint}/versions`, { version, sql });
  expect(answer.status, answer.text).toBe(201);
};

describe('shared tenants in further databases', () => {
  it('come to the least full of their region, and are served there as any', async () => {
    const { api } = system;
    expect((await api.put(blueprint, { supportsShared: true })).status).toBe(201);
    await publish(
      1,
      `CREATE TABLE notes (tenant_id uuid NOT NULL DEFAULT current_setting('app.tenant_id')::uuid, id bigint NOT NULL, text text NOT NULL,
         times int NOT NULL DEFAULT 1, PRIMARY KEY (tenant_id, id))`,
    );
    expect((await api.post(SERVERS, { name: ABROAD.server, url: other.url, region: 'abroad' })).status).toBe(201);
    expect((await put(ABROAD, { accepts: ['shared'] })).body).toMatchObject({ accepts: ['shared'], ready: true });
    expect((await put(BESIDE, {})).body).toMatchObject({ accepts: ['dedicated'] });
    expect((await put(BESIDE, { accepts: [] })).status).toBe(200);
    expect((await api.get(SERVERS)).body.items.find(({ name }: { name: string }) => name === ABROAD.server).isolations).toEqual([
      'shared',
      'isolated',
    ]);

    const { tenant } = await activeTenant(api, shared({ region: 'abroad' }));
    expect(await placementOf(tenant.id)).toMatchObject({
      isolation: 'shared',
      server: ABROAD.server,
      database: ABROAD.name,
      schema: 'shared',
    });
    const tenantUrl = `${PLATFORM}/tenants/${tenant.id}`;
    await api.put(`${tenantUrl}/settings/motto`, { value: 'abroad' });
    expect((await api.get(`${tenantUrl}/settings/motto`)).body.value).toBe('abroad');
    await eventually(async () => (await api.get(`${tenantUrl}/audit-logs`)).body.items.length > 0, { what: 'audit to project there' });
    expect(await query(HOME, 'SELECT FROM shared.config_settings WHERE tenant_id = $1', [tenant.id])).toEqual([]);
    expect((await query(ABROAD, 'SELECT FROM shared.config_settings WHERE tenant_id = $1', [tenant.id])).length).toBeGreaterThan(0);
    expect((await api.get(`${tenantUrl}/database-login`)).body).toMatchObject({ database: ABROAD.name, user: ABROAD.name });
    const { body } = await api.post(`${tenantUrl}/diagnose`, {});
    expect(body.findings.filter(({ status }: { status: string }) => status === 'failed')).toEqual([]);
  }, 120_000);

  it('are moved between them while they are written to and provisioning dies: nothing is lost, and nobody’s rows are in two places', async () => {
    const { api } = system;
    neighbour = (await activeTenant(api, shared({ region: 'abroad' }))).tenant;
    const { tenant } = await activeTenant(api, shared({ isolation: 'dedicated' }));
    moved = tenant;
    const { id } = tenant;
    const run = await system.run();
    const { key } = (await api.post(`${PLATFORM}/tenants/${id}/api-keys`, { name: 'writer' })).body;
    // The control plane's app_shared has the blueprint from its first shared tenant on.
    const { tenant: home } = await activeTenant(api, shared({ region: 'default' }));
    // One that is there already gets shared tables when they are asked for.
    expect((await put(BESIDE, { accepts: ['shared'] })).body).toMatchObject({ accepts: ['shared'] });
    const database = await product(run, id);
    const work = writer(database, () => run.gatewayUrl, key, id, 60);
    const route = [BESIDE, ABROAD];
    for (const at of route) {
      const asked = await api.post(`${PLATFORM}/tenants/${id}/moves`, { isolation: 'shared', server: at.server, database: at.name });
      expect(asked.status, asked.text).toBe(202);
      expect(await operationEnded(api, asked.body.id, 120_000)).toMatchObject({ status: 'succeeded' });
      expect(await placementOf(id)).toMatchObject({ isolation: 'shared', server: at.server, database: at.name });
      const there = await Promise.all([HOME, BESIDE, ABROAD].map((one) => rowsIn(one, id)));
      expect(there.map((rows) => rows > 0)).toEqual([HOME, BESIDE, ABROAD].map((one) => one === at));
    }
    await work.stop();
    const fired = (await readdir(join(system.dataDir, 'faults'))).filter((name) => name.startsWith('provisioning.move.'));
    expect(fired).toHaveLength(deaths.length);
    expect(work.done.errors).toEqual([]);
    expect(await notesOf(database, id)).toEqual(work.done.notes);
    // A neighbour in the same tables sees none of it.
    expect((await notesOf(database, neighbour.id)).size).toBe(0);
    await database.close();

    const check = await api.post(`${PLATFORM}/isolation-checks`, { tenantIds: [id, neighbour.id, home.id] });
    expect(await ended(check.body.operation.url ?? check.body.operation)).toMatchObject({ status: 'succeeded' });
    const { tenants } = (await api.get(`${PLATFORM}/isolation-checks/${check.body.id}`)).body;
    for (const one of tenants)
      expect([one.verdict, one.attempts.filter(({ outcome }: any) => outcome === 'breached')]).toEqual(['held', []]);
  }, 240_000);

  it('follow a campaign as one item for each database, show drift, and are erased', async () => {
    const { api } = system;
    await publish(2, 'ALTER TABLE notes ADD COLUMN more text');
    const started = await api.post(`${blueprint}/campaigns`, { toVersion: 2, filter: { isolation: 'shared' } });
    expect(started.status, started.text).toBe(202);
    const url = started.headers.get('location') as string;
    expect(await ended(url)).toMatchObject({ status: 'succeeded', counts: { total: 3, succeeded: 3 } });
    const { items } = (await api.get(`${url}/items?limit=50`)).body;
    expect(items.map(({ tenantId, target }: any) => [tenantId, target]).sort()).toEqual([
      [null, 'abroad/shared_3.app_shared'],
      [null, 'shared_2.app_shared'],
      [null, 'tenantry.app_shared'],
    ]);
    for (const at of [HOME, BESIDE, ABROAD])
      expect(
        await query(at, `SELECT FROM information_schema.columns WHERE table_schema = 'app_shared' AND column_name = 'more'`),
      ).toHaveLength(1);
    const again = await api.post(`${blueprint}/campaigns`, { toVersion: 2, filter: { isolation: 'shared' }, dryRun: true });
    expect(again.body).toMatchObject({ matched: 0, upToDate: 3 });
    expect((await api.get(`${blueprint}/drift?limit=200`)).body.items).toEqual([]);
    await query(ABROAD, 'ALTER TABLE app_shared.notes ADD COLUMN odd int');
    expect((await api.get(`${blueprint}/drift?limit=200`)).body.items).toMatchObject([
      { tenantId: null, target: 'abroad/shared_3.app_shared', expected: 2 },
    ]);
    await query(ABROAD, 'ALTER TABLE app_shared.notes DROP COLUMN odd');

    expect((await erase(api, moved)).status).toBe('succeeded');
    const { body: certificate } = await api.get(`${PLATFORM}/tenants/${moved.id}/erasure-certificate`);
    expect(certificate.stores.every(({ found: left }: { found: number }) => left === 0)).toBe(true);
    expect(certificate.databases).toEqual([HOME, BESIDE, ABROAD].map((at) => ({ server: at.server, database: at.name })));
    for (const at of [HOME, BESIDE, ABROAD]) expect(await rowsIn(at, moved.id)).toBe(0);
    expect(await query(ABROAD, 'SELECT FROM shared.config_settings WHERE tenant_id = $1', [moved.id])).toEqual([]);
    expect((await query(ABROAD, 'SELECT FROM shared.config_settings WHERE tenant_id = $1', [neighbour.id])).length).toBeGreaterThan(0);
  }, 120_000);
});
