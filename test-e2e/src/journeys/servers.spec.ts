import { tenantKey } from '@tenantry/contracts/ids';
import { type RunningPostgres, startPostgres } from '@tenantry/testing/postgres';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Api } from '../harness/api.js';
import { erase } from '../harness/deletion.js';
import { operationEnded } from '../harness/move-load.js';
import { sharedSystem } from '../harness/system.js';
import { activeTenant, PLATFORM, settled, unique } from '../harness/tenants.js';

const SERVERS = `${PLATFORM}/servers`;
const name = unique('eu').toLowerCase();
const region = unique('eu-test').toLowerCase();
let abroad: { id: string; slug: string };
let api: Api;
let other: RunningPostgres;
let admin: pg.Client;
beforeAll(async () => {
  [{ api }, other] = await Promise.all([sharedSystem(), startPostgres()]);
  admin = new pg.Client({ connectionString: other.url });
  await admin.connect();
});
afterAll(async () => {
  // Nobody is sent there any more: other specs share the system, and the server ends.
  await api?.post(SERVERS, { name, capacity: 0 });
  await admin?.end();
  await other?.stop();
});

const register = (body: Record<string, unknown>) => api.post(SERVERS, body);
const find = async () => (await api.get(SERVERS)).body.items.find((one: { name: string }) => one.name === name);
const databaseOf = async (tenantId: string) =>
  (await admin.query('SELECT FROM pg_database WHERE datname = $1', [`tenantry_t_${tenantKey(tenantId)}`])).rowCount;
const isolated = () => ({ name: unique('Abroad'), plan: 'enterprise', isolation: 'isolated', region });
const fieldsOf = ({ status, body }: { status: number; body: any }) => [status, ...body.errors.map(({ field }: any) => field)];
const move = async (tenantId: string, body: Record<string, unknown>) => {
  const answer = await api.post(`${PLATFORM}/tenants/${tenantId}/moves`, body);
  expect(answer.status, answer.text).toBe(202);
  const ended = await operationEnded(api, answer.body.id);
  expect(ended, JSON.stringify(ended)).toMatchObject({ status: 'succeeded' });
};
const placement = async (tenantId: string) => (await api.get(`${PLATFORM}/tenants/${tenantId}/placement`)).body;

describe('another server', () => {
  it('is refused with the field, registered once, and shown without its login', async () => {
    expect(fieldsOf(await register({ name }))).toEqual([422, 'url']);
    expect(fieldsOf(await register({ name, url: other.url.replace(':postgres@', ':wrong@') }))).toEqual([422, 'url']);
    expect(fieldsOf(await register({ name: 'default', url: other.url }))).toEqual([422, 'url']);
    const made = await register({ name, url: other.url, region, capacity: 1 });
    expect([made.status, made.text]).toEqual([201, expect.not.stringContaining('postgres:postgres')]);
    expect(made.body).toMatchObject({ name, host: '127.0.0.1', region, capacity: 1, tenants: 0, isolations: ['isolated'], ready: true });
    expect((await register({ name, url: other.url, region, capacity: 1 })).status).toBe(200);
    expect((await register({ name: `${name}-2`, url: other.url })).body.code).toBe('server.taken');
    expect(await find()).toEqual(made.body);
  });

  it('gets the tenants of its region as long as it has room; who found none is made once there is some', async () => {
    const { tenant } = await activeTenant(api, isolated());
    abroad = tenant;
    expect(await placement(tenant.id)).toMatchObject({ server: name, isolation: 'isolated' });
    expect(await databaseOf(tenant.id)).toBe(1);
    expect((await find()).tenants).toBe(1);
    await api.put(`${PLATFORM}/tenants/${tenant.id}/settings/motto`, { value: 'abroad' });
    expect((await api.get(`${PLATFORM}/tenants/${tenant.id}/settings/motto`)).body.value).toBe('abroad');

    const refused = await api.post(`${PLATFORM}/tenants`, isolated());
    expect((await settled(api, refused.body.id)).status).toBe('failed');
    expect((await operationEnded(api, refused.body.operation.id)).error.code).toBe('placement.no_room');
    await register({ name, capacity: 2 });
    expect((await api.post(`${PLATFORM}/tenants/${refused.body.id}/retry`, {})).status).toBe(202);
    expect((await settled(api, refused.body.id)).status).toBe('active');
    expect((await find()).tenants).toBe(2);
    expect((await erase(api, { id: refused.body.id, slug: refused.body.slug })).status).toBe('succeeded');
    expect([await databaseOf(refused.body.id), (await find()).tenants]).toEqual([0, 1]);
  });

  it('is where a tenant moves to and from, with its region; what is not there is refused by its field', async () => {
    const { tenant } = await activeTenant(api, { ...isolated(), isolation: 'dedicated', region: undefined });
    const asked = (body: Record<string, unknown>) => api.post(`${PLATFORM}/tenants/${tenant.id}/moves`, body);
    expect(fieldsOf(await asked({ isolation: 'isolated', server: 'nowhere' }))).toEqual([422, 'server']);
    expect(fieldsOf(await asked({ isolation: 'shared', server: name }))).toEqual([422, 'server']);
    expect(fieldsOf(await asked({ isolation: 'shared', database: 'other' }))).toEqual([422, 'database']);
    const bulk = { action: 'move', tenantIds: [tenant.id], params: { isolation: 'isolated', server: 'nowhere' } };
    expect(fieldsOf(await api.post(`${PLATFORM}/bulk-operations`, bulk))).toEqual([422, 'params.server']);

    await api.put(`${PLATFORM}/tenants/${tenant.id}/settings/motto`, { value: 'here' });
    await move(tenant.id, { isolation: 'isolated', server: name });
    expect([await placement(tenant.id), await databaseOf(tenant.id)]).toMatchObject([{ server: name }, 1]);
    expect((await api.get(`${PLATFORM}/tenants/${tenant.id}`)).body.region).toBe(region);
    await api.put(`${PLATFORM}/tenants/${tenant.id}/settings/motto`, { value: 'there' });
    await move(tenant.id, { isolation: 'isolated', server: 'default' });
    expect([await placement(tenant.id), await databaseOf(tenant.id)]).toMatchObject([{ server: 'default' }, 0]);
    expect((await api.get(`${PLATFORM}/tenants/${tenant.id}/settings/motto`)).body.value).toBe('there');
    expect((await find()).tenants).toBe(1);
  });

  it('that is full takes nobody who moves, and the tenant stays where it is', async () => {
    await register({ name, capacity: 1 });
    const { tenant } = await activeTenant(api, { ...isolated(), isolation: 'shared', region: undefined });
    const answer = await api.post(`${PLATFORM}/tenants/${tenant.id}/moves`, { isolation: 'isolated', server: name });
    expect(answer).toMatchObject({ status: 409, body: { code: 'placement.no_room', detail: expect.stringContaining(name) } });
    expect(await placement(tenant.id)).toMatchObject({ server: 'default', isolation: 'shared' });
  });

  it('holds nothing any more of whom it held', async () => {
    expect((await erase(api, abroad)).status).toBe('succeeded');
    expect([await databaseOf(abroad.id), (await find()).tenants]).toEqual([0, 0]);
  });
});
