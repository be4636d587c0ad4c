import { PLATFORM_LOG, tenantKey } from '@tenantry/contracts/ids';
import { eventually } from '@tenantry/testing/eventually';
import { type RunningPostgres, startPostgres } from '@tenantry/testing/postgres';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Api } from '../harness/api.js';
import { erase } from '../harness/deletion.js';
import { operationEnded } from '../harness/move-load.js';
import { type RunFile, sharedSystem } from '../harness/system.js';
import { activeTenant, PLATFORM, unique } from '../harness/tenants.js';

const word = (text: string) =>
  unique(text)
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '_');
const SERVERS = `${PLATFORM}/servers`;
const server = word('abroad').replaceAll('_', '-');
const region = server;
/** On the other server, which takes a region of its own: other specs' tenants don't come there. */
const abroad = { server, name: word('abroad_tenants') };
/** Beside the control plane's; closed, but while this spec has it open. */
const beside = { server: 'default', name: word('more_tenants') };
const HOME = { server: 'default', name: 'tenantry' };
let api: Api;
let run: RunFile;
let other: RunningPostgres;
beforeAll(async () => {
  [{ api, run }, other] = await Promise.all([sharedSystem(), startPostgres()]);
  expect((await api.post(SERVERS, { name: server, url: other.url, region })).status).toBe(201);
});
/** Whoever still lives abroad. */
const emigrants: { id: string; slug: string }[] = [];
afterAll(async () => {
  // Other specs share the system, and have everything of all tenants made again: nobody stays where the server ends.
  for (const tenant of emigrants) expect((await erase(api, tenant)).status).toBe('succeeded');
  await put(beside, { accepts: [] });
  await api?.post(SERVERS, { name: server, capacity: 0 });
  await other?.stop();
});

type At = typeof abroad;
const put = ({ server: on, name }: At, terms: Record<string, unknown> = {}) => api.post(`${SERVERS}/${on}/databases`, { name, ...terms });
const find = async ({ server: on, name }: At) =>
  (await api.get(`${SERVERS}/${on}/databases`)).body.items.find((one: { name: string }) => one.name === name);
const query = async ({ server: on, name }: At, text: string, values: unknown[] = []) => {
  const url = new URL(on === 'default' ? run.postgresUrl : other.url);
  url.pathname = `/${name}`;
  const client = new pg.Client({ connectionString: url.href });
  await client.connect();
  try {
    return (await client.query(text, values)).rows;
  } finally {
    await client.end();
  }
};
const schemasIn = async (at: At, tenantId: string) =>
  (
    await query(at, 'SELECT nspname FROM pg_namespace WHERE nspname = ANY ($1)', [
      [`t_${tenantKey(tenantId)}`, `app_${tenantKey(tenantId)}`],
    ])
  ).length;
const placement = async (tenantId: string) => (await api.get(`${PLATFORM}/tenants/${tenantId}/placement`)).body;
const fieldsOf = ({ status, body }: { status: number; body: any }) => [status, ...body.errors.map(({ field }: any) => field)];
const dedicated = (about: object = {}) => ({ name: unique('Shared'), isolation: 'dedicated', ...about });
const ended = async (operation: { url: string } | string) =>
  eventually(
    async () => {
      const { body, text } = await api.get(typeof operation === 'string' ? operation : operation.url);
      if (!['succeeded', 'failed', 'compensated'].includes(body.status)) throw new Error(text);
      return body;
    },
    { timeoutMs: 30_000, what: 'the operation to end' },
  );

describe('a further database', () => {
  it('is refused with the field, made once, shown, changed and closed, and the platform’s log says so', async () => {
    expect(fieldsOf(await put({ ...beside, name: 'postgres' }))).toEqual([422, 'name']);
    // Its shared role would have a name that is too long. Shared tenants elsewhere: see shared-databases.spec.ts.
    expect(fieldsOf(await put({ ...beside, name: `m${'o'.repeat(60)}` }, { accepts: ['shared'] }))).toEqual([422, 'accepts']);
    expect(fieldsOf(await put({ ...beside, name: 'tenantry_shared_x' }))).toEqual([422, 'name']);
    expect((await put({ ...beside, server: 'nowhere' })).body.code).toBe('server.not_found');
    expect((await put({ ...beside, name: 'tenantry_audit' })).body.code).toBe('database.taken');
    expect((await api.get(`${SERVERS}/nowhere/databases`)).status).toBe(404);
    const made = await put(beside, { accepts: [] });
    expect([made.status, made.body]).toEqual([201, { ...beside, capacity: null, accepts: [], tenants: 0, ready: true }]);
    expect((await put(beside, { capacity: 5 })).body).toMatchObject({ capacity: 5, accepts: [] });
    expect((await put(abroad, { capacity: 1 })).status).toBe(201);
    expect(await find(abroad)).toEqual({ ...abroad, capacity: 1, accepts: ['dedicated'], tenants: 0, ready: true });
    const { items } = (await api.get(SERVERS)).body;
    expect(items.find(({ name }: any) => name === server).isolations).toEqual(['dedicated', 'isolated']);
    const said = await query(HOME, `SELECT type, data FROM log.events WHERE tenant_id = $1 AND stream = ANY ($2) ORDER BY position`, [
      PLATFORM_LOG,
      [`server-${server}`, 'server-default'],
    ]);
    const own = said.filter(({ data }) => data.server !== 'default' || data.name === beside.name);
    expect(own.map(({ type, data }) => [type, data.name, data.capacity])).toEqual([
      ['ServerRegistered', server, null],
      ['DatabaseRegistered', beside.name, null],
      ['DatabaseChanged', beside.name, 5],
      ['DatabaseRegistered', abroad.name, 1],
    ]);
  });

  it('gets the dedicated tenants of its region as long as it has room, and serves them as any', async () => {
    const { tenant } = await activeTenant(api, dedicated({ region }));
    emigrants.push(tenant);
    expect(await placement(tenant.id)).toMatchObject({ server, database: abroad.name, isolation: 'dedicated' });
    expect([await schemasIn(abroad, tenant.id), await schemasIn(HOME, tenant.id), (await find(abroad)).tenants]).toEqual([2, 0, 1]);
    const refused = await api.post(`${PLATFORM}/tenants`, { ...dedicated({ region }), adminEmail: 'ada@full.example' });
    expect((await operationEnded(api, refused.body.operation.id)).error.code).toBe('placement.no_room');

    const tenantUrl = `${PLATFORM}/tenants/${tenant.id}`;
    await api.put(`${tenantUrl}/settings/motto`, { value: 'abroad' });
    expect((await api.get(`${tenantUrl}/settings/motto`)).body.value).toBe('abroad');
    await eventually(async () => (await api.get(`${tenantUrl}/audit-logs`)).body.items.length > 0, { what: 'audit to project there' });
    const { body: login } = await api.get(`${tenantUrl}/database-login`);
    expect(login).toMatchObject({ database: abroad.name, user: abroad.name });
    const check = await api.post(`${PLATFORM}/isolation-checks`, { tenantIds: [tenant.id] });
    expect(await ended(check.body.operation)).toMatchObject({ status: 'succeeded' });
    const { tenants } = (await api.get(`${PLATFORM}/isolation-checks/${check.body.id}`)).body;
    expect(tenants[0].attempts.filter(({ outcome }: any) => outcome === 'breached')).toEqual([]);
    expect(tenants[0].verdict).toBe('held');
  });

  it('is where a tenant moves to and from, follows a campaign and is erased', async () => {
    await put(abroad, { capacity: 3 });
    const { tenant } = await activeTenant(api, dedicated({ isolation: 'shared' }));
    const { id } = tenant;
    const tenantUrl = `${PLATFORM}/tenants/${id}`;
    const asked = (body: Record<string, unknown>) => api.post(`${tenantUrl}/moves`, body);
    const move = async (body: Record<string, unknown>) => {
      const answer = await asked(body);
      expect(answer.status, answer.text).toBe(202);
      expect(await operationEnded(api, answer.body.id)).toMatchObject({ status: 'succeeded' });
    };
    expect(fieldsOf(await asked({ isolation: 'dedicated', database: 'nowhere' }))).toEqual([422, 'database']);
    expect(fieldsOf(await asked({ isolation: 'shared', database: abroad.name }))).toEqual([422, 'database']);
    expect(await asked({ isolation: 'dedicated', database: beside.name })).toMatchObject({
      ...{ status: 409, body: { code: 'placement.no_room', detail: expect.stringContaining(beside.name) } },
    });
    await put(beside, { accepts: ['dedicated'] });
    await move({ isolation: 'dedicated', database: beside.name });
    expect([await schemasIn(beside, id), await placement(id)]).toMatchObject([2, { server: 'default', database: beside.name }]);
    await put(beside, { accepts: [] });
    await api.put(`${tenantUrl}/settings/motto`, { value: 'beside' });
    await move({ isolation: 'dedicated', server });
    expect([await schemasIn(beside, id), await schemasIn(abroad, id)]).toEqual([0, 2]);
    expect((await api.get(`${tenantUrl}/settings/motto`)).body.value).toBe('beside');
    expect([(await api.get(tenantUrl)).body.region, (await find(beside)).tenants]).toEqual([region, 0]);

    const blueprint = `${PLATFORM}/blueprints/${word('abroad').replaceAll('_', '-')}`;
    expect((await api.put(blueprint, { supportsShared: false })).status).toBe(201);
    const version = await api.post(`${blueprint}/versions`, { version: 1, sql: 'CREATE TABLE goods (id int PRIMARY KEY)' });
    expect(version.status, version.text).toBe(201);
    const campaign = await api.post(`${blueprint}/campaigns`, { toVersion: 1, filter: { tenantIds: [id] } });
    expect(campaign.status, campaign.text).toBe(202);
    expect(await ended(campaign.headers.get('location') as string)).toMatchObject({
      status: 'succeeded',
      counts: { total: 1, succeeded: 1 },
    });
    expect(await query(abroad, 'SELECT tablename FROM pg_tables WHERE schemaname = $1', [`app_${tenantKey(id)}`])).toEqual([
      { tablename: 'goods' },
    ]);
    await query(abroad, `ALTER TABLE app_${tenantKey(id)}.goods ADD COLUMN odd int`);
    const drift = [];
    for (let cursor: string | null = ''; cursor !== null; ) {
      const page = (await api.get(`${blueprint}/drift?limit=200${cursor && `&cursor=${cursor}`}`)).body as any;
      drift.push(...page.items.filter(({ tenantId }: any) => tenantId === id));
      cursor = page.nextCursor;
    }
    expect(drift).toMatchObject([{ target: `${abroad.name}.app_${tenantKey(id)}` }]);
    await query(abroad, `ALTER TABLE app_${tenantKey(id)}.goods DROP COLUMN odd`);
    // It comes to no other spec's tenants.
    expect((await api.put(blueprint, { supportsShared: false, status: 'retired' })).status).toBe(200);

    expect((await erase(api, tenant)).status).toBe('succeeded');
    const certificate = await api.get(`${tenantUrl}/erasure-certificate`);
    expect(certificate.body.stores.every(({ found }: { found: number }) => found === 0)).toBe(true);
    const lived = [HOME, beside, abroad].map((at) => ({ server: at.server, database: at.name }));
    expect(certificate.body.databases).toEqual(lived);
    expect([await schemasIn(abroad, id), (await find(abroad)).tenants]).toEqual([0, 1]);
    expect(await query(abroad, 'SELECT FROM pg_roles WHERE rolname = $1', [`t_${tenantKey(id)}`])).toEqual([]);
  });
});
