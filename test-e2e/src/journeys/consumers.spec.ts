import { tenantKey } from '@tenantry/contracts/ids';
import { eventually } from '@tenantry/testing/eventually';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Api } from '../harness/api.js';
import { sharedSystem } from '../harness/system.js';
import { activeTenant, PLATFORM, unique } from '../harness/tenants.js';

let api: Api;
let database: pg.Client;
beforeAll(async () => {
  const system = await sharedSystem();
  api = system.api;
  const url = new URL(system.run.postgresUrl);
  url.pathname = '/tenantry';
  database = new pg.Client({ connectionString: url.href });
  await database.connect();
});
afterAll(() => database?.end());

const create = async (isolation = 'dedicated') => (await activeTenant(api, { name: unique('Watched'), isolation })).tenant;
const rename = async (id: string, name: string) => {
  const { status, headers } = await api.put(`${PLATFORM}/tenants/${id}`, { name });
  expect(status).toBe(200);
  return Number(headers.get('tenantry-position')?.split(':').at(-1));
};
const parkedOf = async (id: string) => (await api.get(`${PLATFORM}/parked?tenantId=${id}`)).body.items;
const untilParked = (id: string) =>
  eventually(async () => (await parkedOf(id))[0], { timeoutMs: 40_000, intervalMs: 200, what: 'something to be parked' });
const entries = async (id: string): Promise<any[]> => (await api.get(`${PLATFORM}/tenants/${id}/audit-logs?limit=200`)).body.items;
/** From now on the audit's rows of that name are refused by the database: a poison event. */
const refuse = (id: string, name: string) =>
  database.query(
    `ALTER TABLE t_${tenantKey(id)}.audit_entries ADD CONSTRAINT poison CHECK (new_values::text NOT LIKE '%${name}%') NOT VALID`,
  );
const allow = (id: string) => database.query(`ALTER TABLE t_${tenantKey(id)}.audit_entries DROP CONSTRAINT poison`);

// Side by side: each waits for its own tenant, most of the time.
describe.concurrent('consumers', () => {
  it('are shown for every service, with how far they have come, page by page', async () => {
    const tenant = await create();
    const { body } = await eventually(async () => {
      const answer = await api.get(`${PLATFORM}/consumers?tenantId=${tenant.id}`);
      return answer.body.items.every(({ position, head }: any) => position === head) ? answer : null;
    });
    expect(body.unanswered).toEqual([]);
    expect(new Set(body.items.map(({ service }: any) => service))).toEqual(
      new Set(['provisioning', 'quota-metering', 'domain-ssl', 'billing', 'audit', 'identity']),
    );
    expect(new Set(body.items.map(({ state }: any) => state))).toEqual(new Set(['running']));
    const paged: any[] = [];
    for (let cursor = ''; ; ) {
      const page = (await api.get(`${PLATFORM}/consumers?tenantId=${tenant.id}&limit=2${cursor}`)).body;
      paged.push(...page.items);
      if (page.nextCursor === null) break;
      cursor = `&cursor=${page.nextCursor}`;
    }
    expect(paged).toEqual(body.items);
    expect((await api.get(`${PLATFORM}/consumers?cursor=x`)).status).toBe(422);
    const one = (await api.get(`${PLATFORM}/consumers?tenantId=${tenant.id}&service=audit&state=running`)).body.items;
    expect(one.map(({ consumer }: any) => consumer)).toEqual(['audit']);
  });

  it('are for operators only', async () => {
    const tenant = await create();
    const key = (await api.post(`${PLATFORM}/tenants/${tenant.id}/api-keys`, { name: 'own' })).body.key;
    const own = api.as(key);
    expect((await own.get(`${PLATFORM}/consumers`)).status).toBe(403);
    expect((await own.get(`${PLATFORM}/parked`)).status).toBe(403);
  });
});

describe.concurrent('an event that cannot be applied', () => {
  it('is parked, the others go on, and it is tried again when an operator says so', async () => {
    const [tenant, other] = [await create(), await create()];
    const name = unique('Poisoned');
    await refuse(tenant.id, name);
    const position = await rename(tenant.id, name);
    const otherPosition = await rename(other.id, 'Healthy');
    const parked = await untilParked(tenant.id);
    const behind = await api.get(`${PLATFORM}/tenants/${tenant.id}/audit-logs`, { 'tenantry-min-position': `${tenant.id}:${position}` });
    expect([behind.status, behind.headers.get('tenantry-stale')]).toEqual([200, 'true']);
    expect(parked).toMatchObject({ kind: 'event', service: 'audit', consumer: 'audit', position, type: 'TenantUpdated' });
    expect(parked.nextRetryAt).not.toBeNull();
    const consumers = (await api.get(`${PLATFORM}/consumers?tenantId=${tenant.id}&state=parked`)).body.items;
    expect(consumers).toEqual([expect.objectContaining({ service: 'audit', state: 'parked', error: expect.stringContaining('poison') })]);
    await eventually(async () => (await entries(other.id)).some((entry) => entry.position === otherPosition));
    await allow(tenant.id);
    expect((await api.post(`${PLATFORM}/parked/${parked.id}/retry`)).status).toBe(200);
    await eventually(async () => (await entries(tenant.id)).some((entry) => entry.position === position), { timeoutMs: 15_000 });
    expect(await parkedOf(tenant.id)).toEqual([]);
    expect((await api.post(`${PLATFORM}/parked/${parked.id}/retry`)).status).toBe(404);
  }, 90_000);

  it('is left out for good when an operator says so and why, in rebuilds too', async () => {
    const tenant = await create();
    const name = unique('Poisoned');
    await refuse(tenant.id, name);
    const position = await rename(tenant.id, name);
    const after = await rename(tenant.id, 'Fine again');
    const parked = await untilParked(tenant.id);
    expect((await api.post(`${PLATFORM}/parked/${parked.id}/skip`, {})).status).toBe(422);
    expect((await api.post(`${PLATFORM}/parked/${parked.id}/skip`, { reason: 'broken on purpose' })).status).toBe(200);
    await eventually(async () => (await entries(tenant.id)).some((entry) => entry.position === after), { timeoutMs: 15_000 });
    await allow(tenant.id);
    await database.query(`UPDATE t_${tenantKey(tenant.id)}.audit_entries SET action = 'tampered'`);
    const asked = await api.post(`${PLATFORM}/projections/audit/audit/rebuild`, { tenantId: tenant.id });
    expect([asked.status, asked.body.type, asked.body.tenantId]).toEqual([202, 'rebuild', tenant.id]);
    const url = asked.headers.get('location') as string;
    const done = await eventually(
      async () => {
        const { body } = await api.get(url);
        return body.finishedAt ? body : null;
      },
      { timeoutMs: 20_000 },
    );
    expect(done).toMatchObject({ status: 'succeeded', counts: { total: 1, succeeded: 1, failed: 0, pending: 0 } });
    expect((await api.get(`${url}/items`)).body.items).toEqual([expect.objectContaining({ tenantId: tenant.id, status: 'succeeded' })]);
    const rebuilt = await entries(tenant.id);
    expect(rebuilt.filter(({ action }) => action === 'tampered')).toEqual([]);
    expect(rebuilt.map((entry) => entry.position)).not.toContain(position);
    expect(rebuilt).toHaveLength(after);
  }, 90_000);
});

describe('a read that names the position of a write', () => {
  it('sees it, whichever service has the read model and wherever its rows are', async () => {
    for (const isolation of ['shared', 'dedicated', 'isolated']) {
      const { id } = await create(isolation);
      const url = `${PLATFORM}/tenants/${id}`;
      const seen: { path: string; stale: string | null; sees: boolean }[] = [];
      for (let n = 0; n < 3; n++) {
        const name = unique('Seen');
        const changed = await api.put(url, { name });
        const minPosition = { 'tenantry-min-position': changed.headers.get('tenantry-position') as string };
        for (const path of [`${PLATFORM}/tenants?q=${name}`, `${url}/audit-logs?limit=1`, url]) {
          const { text, headers } = await api.get(path, minPosition);
          seen.push({ path, stale: headers.get('tenantry-stale'), sees: text.includes(name) });
        }
        const set = await api.put(`${url}/settings/probe.${n}`, { value: name });
        const after = { 'tenantry-min-position': set.headers.get('tenantry-position') as string };
        for (const path of [`${url}/settings`, `${url}/audit-logs?limit=1`, `${url}/quotas`, `${url}/domains`, `${url}/members`]) {
          const { status, headers, text } = await api.get(path, after);
          expect([path, status]).toEqual([path, 200]);
          const isAbout = path.endsWith('/settings') || path.includes('audit-logs');
          seen.push({ path, stale: headers.get('tenantry-stale'), sees: !isAbout || text.includes(`probe.${n}`) });
        }
      }
      expect(seen.filter(({ stale, sees }) => !sees && stale === null)).toEqual([]);
      // Two seconds are enough but on a machine that has too much to do.
      expect(seen.filter(({ stale }) => stale !== null).length).toBeLessThanOrEqual(2);
    }
  }, 90_000);
});

describe('a rebuild of all tenants', () => {
  it('is an operation with counts and items, also in isolated databases', async () => {
    const tenants = [await create('shared'), await create('dedicated'), await create('isolated')];
    const asked = await api.post(`${PLATFORM}/projections/provisioning/${'provisioning'}/rebuild`);
    expect(asked.status).toBe(202);
    const url = asked.headers.get('location') as string;
    const done = await eventually(
      async () => {
        const { body } = await api.get(url);
        return body.finishedAt ? body : null;
      },
      { timeoutMs: 60_000 },
    );
    expect(done.status).toBe('succeeded');
    const items = (await api.get(`${url}/items?limit=200`)).body.items.map(({ tenantId }: any) => tenantId);
    for (const { id } of tenants) expect(items).toContain(id);
    expect((await api.post(`${PLATFORM}/projections/audit/nothing/rebuild`)).body.code).toBe('projection.not_found');
  }, 90_000);
});
