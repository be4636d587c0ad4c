import { eventually } from '@tenantry/testing/eventually';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Api } from '../harness/api.js';
import { sharedSystem } from '../harness/system.js';
import { activeTenant, PLATFORM, unique } from '../harness/tenants.js';

const tag = unique('list');
const made = [
  { name: 'Émile Beta', plan: 'free', priority: 20 },
  { name: 'alpha', plan: 'business', priority: 90 },
  { name: 'Beta', plan: 'business', priority: 20 },
  { name: 'gamma Ä', plan: 'professional', priority: 50 },
  { name: 'Beta', plan: 'enterprise', priority: 70, adminEmail: 'ann@list.example' },
];
let api: Api;
const list = async (query: string) => (await api.get(`${PLATFORM}/tenants?tag=${tag}&${query}`)).body;
/** All pages, two rows each. */
async function pages(query: string): Promise<any[]> {
  const found: any[] = [];
  for (let cursor = ''; ; ) {
    const { items, nextCursor } = await list(`${query}&limit=2${cursor}`);
    found.push(...items);
    if (nextCursor === null) return found;
    cursor = `&cursor=${nextCursor}`;
  }
}
beforeAll(async () => {
  ({ api } = await sharedSystem());
  const tenants = await Promise.all(made.map((body) => activeTenant(api, { ...body, isolation: 'shared', tags: [tag] })));
  const last = tenants.map(({ tenant }) => `${tenant.id}:${tenant.position}`);
  for (const at of last) await api.get(`${PLATFORM}/tenants?limit=1`, { 'tenantry-min-position': at });
});

describe('the list of tenants', () => {
  it.each([
    ['createdAt', (row: any) => row.createdAt],
    ['updatedAt', (row: any) => row.updatedAt],
    ['name', (row: any) => row.name.toLowerCase()],
    ['slug', (row: any) => row.slug],
    ['status', (row: any) => row.status],
    ['plan', (row: any) => row.plan.id],
    ['priority', (row: any) => row.priority],
    ['region', (row: any) => row.region],
    ['isolation', (row: any) => row.isolation],
    ['domain', (row: any) => row.domain],
    ['mrr', (row: any) => row.mrrMinor],
  ] as const)('is sorted by %s in both directions, page by page, every row once', async (column, value) => {
    const [up, down] = [await pages(`sort=${column}`), await pages(`sort=-${column}`)];
    expect(new Set(up.map(({ id }) => id)).size).toBe(made.length);
    expect(down.map(({ id }) => id)).toEqual(up.map(({ id }) => id).reverse());
    const values = up.map(value);
    // Texts in the database's order, which need not be this process's.
    if (typeof values[0] === 'number' || column.endsWith('At'))
      expect(values).toEqual([...values].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0)));
    else
      for (const one of new Set(values))
        expect(values.lastIndexOf(one) - values.indexOf(one)).toBe(values.filter((v) => v === one).length - 1);
  });
  it('says what each brings a month', async () => {
    const rows = await pages('sort=mrr');
    expect(rows.map(({ mrrMinor, mrrCurrency }) => `${mrrMinor} ${mrrCurrency}`)).toEqual([
      '0 USD',
      '29900 USD',
      '79900 USD',
      '79900 USD',
      '199900 USD',
    ]);
  });
  it('says how many people, how much of its limits, when it last did something and how well each is', async () => {
    const [tenant] = await pages('sort=-mrr');
    const shown = async () => (await pages('sort=-mrr')).find(({ id }) => id === tenant.id);
    expect((await pages('sort=users')).map(({ users }) => users)).toEqual([0, 0, 0, 0, 1]);
    expect(tenant).toMatchObject({ users: 1, lastActivityAt: null, health: { status: 'healthy', score: 100 } });
    const { body: created } = await api.post(`${PLATFORM}/tenants/${tenant.id}/api-keys`, { name: 'list' });
    const own = api.as(created.key);
    const { body: limits } = await api.put(`${PLATFORM}/tenants/${tenant.id}/limits`, { limits: { devices: 4 } });
    expect(limits.impacts).not.toEqual([]);
    const used = await own.post(`/api/tenants/${tenant.id}/usage/increment`, { resource_type: 'devices', amount: 4 });
    expect(used.status).toBe(200);
    await eventually(async () => expect(await shown()).toMatchObject({ usagePercent: 100 }), {
      timeoutMs: 40_000,
      intervalMs: 250,
      what: 'the list to know what the tenant uses',
    });
    expect(await shown()).toMatchObject({ lastActivityAt: expect.any(String), health: { status: 'critical', score: 40 } });
    expect((await pages('sort=health'))[0].id).toBe(tenant.id);
    expect((await pages('sort=-usage'))[0].id).toBe(tenant.id);
    expect((await pages('sort=-lastActivity'))[0].id).toBe(tenant.id);
  });
  it('is searched by text and filtered', async () => {
    expect((await list('q=bETa')).items).toHaveLength(3);
    expect((await list('q=%25')).items).toHaveLength(0);
    expect((await list('tier=business')).items).toHaveLength(2);
    expect((await list('tier=pro')).items).toHaveLength(1);
    expect((await list('status=inactive')).items).toHaveLength(0);
  });
  it('refuses a cursor of another order, and one that was made up', async () => {
    const { nextCursor } = await list('sort=name&limit=2');
    const made = Buffer.from(JSON.stringify(['-mrr', "0'; DROP", '00000000-0000-4000-8000-000000000000'])).toString('base64url');
    for (const query of [`sort=-name&cursor=${nextCursor}`, `cursor=${nextCursor}`, 'sort=name&cursor=x', `sort=-mrr&cursor=${made}`]) {
      const { status, body } = await api.get(`${PLATFORM}/tenants?${query}`);
      expect([status, body.errors[0].field]).toEqual([422, 'cursor']);
    }
    expect((await api.get(`${PLATFORM}/tenants?sort=adminEmail`)).status).toBe(400);
  });
  it('shows tags that were changed', async () => {
    const [row] = (await list('sort=name&limit=1')).items;
    const { headers } = await api.put(`${PLATFORM}/tenants/${row.id}`, { tags: [tag, 'vip'] });
    const min = { 'tenantry-min-position': headers.get('tenantry-position') as string };
    const { body } = await api.get(`${PLATFORM}/tenants?tag=vip&limit=200`, min);
    expect(body.items.map(({ id }: any) => id)).toContain(row.id);
  });
});
