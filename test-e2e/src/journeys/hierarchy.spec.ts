import { eventually } from '@tenantry/testing/eventually';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Api } from '../harness/api.js';
import { sharedSystem } from '../harness/system.js';
import { activeTenant, PLATFORM, settled, unique } from '../harness/tenants.js';

let api: Api;
const keyOf = async (id: string): Promise<Api> => {
  const { status, body, text } = await api.post(`${PLATFORM}/tenants/${id}/api-keys`, { name: 'hierarchy' });
  if (status !== 201) throw new Error(`no key: ${text}`);
  return api.as(body.key);
};
interface Someone {
  id: string;
  as: Api;
}
const someone = async (plan: string): Promise<Someone> => {
  const { tenant } = await activeTenant(api, { name: unique(plan), plan, isolation: 'shared' });
  return { id: tenant.id, as: await keyOf(tenant.id) };
};
const childOf = async (reseller: Someone, body: Record<string, unknown> = {}): Promise<Someone> => {
  const {
    status,
    body: child,
    text,
  } = await reseller.as.post('/api/tenants/', { organization_name: unique('Child'), isolation: 'shared', ...body });
  if (status !== 202) throw new Error(`no child: ${text}`);
  expect(child.parent_id).toBe(reseller.id);
  await settled(api, child.tenant_id);
  return { id: child.tenant_id, as: await keyOf(child.tenant_id) };
};

let reseller: Someone;
let rival: Someone;
let child: Someone;
beforeAll(async () => {
  ({ api } = await sharedSystem());
  [reseller, rival] = await Promise.all([someone('msp'), someone('msp')]);
  child = await childOf(reseller, { tenant_tier: 'pro' });
});

describe('a reseller', () => {
  it('creates a child and sees it in its list, its own tenant and others’ not', async () => {
    const created = await reseller.as.post('/api/tenants', { organization_name: unique('Listed'), isolation: 'shared' });
    expect(created.status).toBe(202);
    const listed = await reseller.as.get('/api/tenants/?limit=200', {
      'tenantry-min-position': created.headers.get('tenantry-position') as string,
    });
    expect(listed.status).toBe(200);
    const ids = listed.body.map((row: any) => row.tenant_id);
    expect(new Set(ids)).toEqual(new Set([child.id, created.body.tenant_id]));
    expect(listed.headers.get('x-total-count')).toBe('2');
    expect(listed.body.every((row: any) => row.parent_id === reseller.id)).toBe(true);
    expect((await rival.as.get('/api/tenants/')).body).toEqual([]);
    const byPlatform = await api.get(`${PLATFORM}/tenants?parentId=${reseller.id}&limit=200`);
    expect(new Set(byPlatform.body.items.map((item: any) => item.id))).toEqual(new Set(ids));
  });
  it('gets the same child for the same Idempotency-Key', async () => {
    const body = { organization_name: unique('Once'), isolation: 'shared' };
    const headers = { 'idempotency-key': unique('child') };
    const replies = await Promise.all(Array.from({ length: 5 }, () => reseller.as.post('/api/tenants', body, headers)));
    expect(new Set(replies.map((reply) => reply.body.tenant_id)).size).toBe(1);
  });
  it('reads and changes its child, and suspends and reactivates it', async () => {
    const path = `/api/tenants/${child.id}`;
    expect((await reseller.as.get(path)).body).toMatchObject({ tenant_id: child.id, parent_id: reseller.id, tenant_tier: 'pro' });
    expect((await reseller.as.put(path, { organization_name: 'Renamed' })).body.organization_name).toBe('Renamed');
    expect((await reseller.as.get(`${path}/quotas`)).status).toBe(200);
    expect((await reseller.as.post(`${path}/status/suspended`)).body.tenant_status).toBe('suspended');
    await eventually(async () => (await child.as.get('/api/tenants/current')).status === 403, { timeoutMs: 1_000, intervalMs: 20 });
    expect((await reseller.as.post(`${path}/status/active`)).body.tenant_status).toBe('active');
    await eventually(async () => (await child.as.get('/api/tenants/current')).status === 200, { timeoutMs: 1_000, intervalMs: 20 });
  });
  it('follows the provisioning of its child, and sees no other work', async () => {
    const created = await reseller.as.post('/api/tenants', { organization_name: unique('Followed'), isolation: 'shared' });
    const path = `/api/tenants/${created.body.tenant_id}/operations`;
    const { id } = created.body.operation;
    await settled(api, created.body.tenant_id);
    const listed = await reseller.as.get(path, { 'tenantry-min-position': created.headers.get('tenantry-position') as string });
    expect(listed.body).toEqual([expect.objectContaining({ id, type: 'provisioning', tenant_id: created.body.tenant_id })]);
    expect(listed.headers.get('x-total-count')).toBe('1');
    const one = await reseller.as.get(`${path}/${id}`);
    expect(one.body).toMatchObject({ id, status: 'succeeded', error_code: null, finished_at: expect.any(String) });
    expect(one.body.steps[0]).toMatchObject({ name: 'register', status: 'succeeded', attempt: 1, error_code: null });
    expect((await reseller.as.get(`/api/tenants/${child.id}/operations/${id}`)).body.code).toBe('operation.not_found');
    expect((await rival.as.get(`${path}/${id}`)).status).toBe(404);
    expect((await reseller.as.get(`${PLATFORM}/operations/${id}`)).status).toBe(403);
  });
  it('reaches nothing of a child that the platform has suspended', async () => {
    const own = await childOf(reseller);
    const path = `/api/tenants/${own.id}`;
    expect((await reseller.as.post(`${path}/status/suspended`)).status).toBe(200);
    expect((await reseller.as.get(`${path}/settings`)).status).toBe(200);
    expect((await api.post(`${PLATFORM}/tenants/${own.id}/suspend`)).status).toBe(200);
    const asked = [() => reseller.as.get(path), () => reseller.as.get(`${path}/settings`), () => reseller.as.post(`${path}/status/active`)];
    await eventually(async () => (await reseller.as.get(path)).status === 403, { timeoutMs: 1_000, intervalMs: 20 });
    for (const ask of asked) expect(await ask()).toMatchObject({ status: 403, body: { code: 'tenant.suspended' } });
    expect((await api.post(`${PLATFORM}/tenants/${own.id}/reactivate`)).status).toBe(200);
    await eventually(async () => (await reseller.as.get(path)).status === 200, { timeoutMs: 1_000, intervalMs: 20 });
  });
  it('reaches no tenant that is not its child, and itself not as one', async () => {
    for (const id of [rival.id, '00000000-0000-4000-8000-000000000000']) {
      expect((await reseller.as.get(`/api/tenants/${id}`)).status).toBe(404);
      expect((await reseller.as.post(`/api/tenants/${id}/status/suspended`)).status).toBe(404);
    }
    expect((await reseller.as.post(`/api/tenants/${reseller.id}/status/suspended`)).status).toBe(403);
    expect((await rival.as.get(`/api/tenants/${child.id}`)).status).toBe(404);
    expect((await child.as.get(`/api/tenants/${reseller.id}`)).status).toBe(404);
    expect((await reseller.as.get(`${PLATFORM}/tenants/${child.id}`)).status).toBe(403);
  });
  it('sees its children in numbers, and nobody else’s', async () => {
    const { status, body } = await rival.as.get('/api/tenants/metrics');
    expect([status, body.total_tenants]).toEqual([200, 0]);
    const own = await childOf(rival, { tenant_tier: 'business' });
    const counted = await eventually(
      async () => {
        const { body: metrics } = await rival.as.get('/api/tenants/metrics');
        if (metrics.mrr === 0) throw new Error('not counted yet');
        return metrics;
      },
      { timeoutMs: 5_000 },
    );
    expect(counted).toMatchObject({ total_tenants: 1, by_tier: { business: 1 }, mrr: 799, mrr_currency: 'USD', health: { healthy: 1 } });
    expect(counted.by_status).toMatchObject({ active: 1, suspended: 0 });
    expect(counted.usage.users).toMatchObject({ limit: 500, unit: 'count' });
    expect((await own.as.get('/api/tenants/metrics')).status).toBe(403);
    const all = await api.get('/api/tenants/metrics');
    expect(all.body.total_tenants).toBeGreaterThan(3);
    expect(Object.values<number>(all.body.by_status).reduce((sum, n) => sum + n, 0)).toBe(all.body.total_tenants);
  });
  it('can make no child a reseller, nor somebody else’s child', async () => {
    const make = (body: Record<string, unknown>) => reseller.as.post('/api/tenants', { organization_name: unique('No'), ...body });
    const asReseller = await make({ tenant_tier: 'msp' });
    expect([asReseller.status, asReseller.body.errors?.[0]?.field]).toEqual([422, 'tenant_tier']);
    const ofRival = await make({ parent_id: rival.id });
    expect([ofRival.status, ofRival.body.errors?.[0]?.field]).toEqual([422, 'parent_id']);
  });
});

describe('a tenant without reselling', () => {
  it('creates and lists nobody', async () => {
    const plain = await someone('business');
    expect((await plain.as.post('/api/tenants', { organization_name: unique('No') })).status).toBe(403);
    expect((await plain.as.get('/api/tenants')).status).toBe(403);
    expect((await child.as.post('/api/tenants', { organization_name: unique('No') })).status).toBe(403);
    const named = await api.post(`${PLATFORM}/tenants`, { name: unique('No'), parentId: plain.id });
    expect([named.status, named.body.errors?.[0]?.field]).toEqual([422, 'parentId']);
  });
});

describe('a reseller that is suspended', () => {
  it('takes its children with it within a second, and brings them back', async () => {
    expect((await child.as.get('/api/tenants/current')).status).toBe(200);
    expect((await api.post(`${PLATFORM}/tenants/${reseller.id}/suspend`, { cause: 'payment' })).status).toBe(200);
    const within = { timeoutMs: 1_000, intervalMs: 20 };
    await eventually(async () => (await child.as.get('/api/tenants/current')).status === 403, within);
    expect((await reseller.as.get(`/api/tenants/${child.id}`)).status).toBe(403);
    const check = await api.post(`/api/tenants/${child.id}/quotas/check`, { resource_type: 'users' });
    expect([check.status, check.body.code]).toEqual([403, 'tenant.suspended']);
    const statusOf = async () => (await api.get(`${PLATFORM}/tenants/${child.id}`)).body.status;
    await eventually(async () => (await statusOf()) === 'suspended', { timeoutMs: 5_000, intervalMs: 20 });
    expect((await api.post(`${PLATFORM}/tenants/${reseller.id}/reactivate`)).status).toBe(200);
    await eventually(async () => (await statusOf()) === 'active', { timeoutMs: 5_000, intervalMs: 20 });
    await eventually(async () => (await child.as.get('/api/tenants/current')).status === 200, within);
  });
  it('takes a child with it that is still being provisioned', async () => {
    const own = await someone('msp');
    const { body: late } = await own.as.post('/api/tenants/', { organization_name: unique('Late'), isolation: 'dedicated' });
    expect((await api.post(`${PLATFORM}/tenants/${own.id}/suspend`)).status).toBe(200);
    await settled(api, late.tenant_id);
    const { body } = await eventually(
      async () => {
        const reply = await api.get(`${PLATFORM}/tenants/${late.tenant_id}`);
        if (reply.body.status !== 'suspended') throw new Error(`it is ${reply.body.status}`);
        return reply;
      },
      { timeoutMs: 5_000, intervalMs: 50 },
    );
    expect(body.parentId).toBe(own.id);
    expect((await api.post(`${PLATFORM}/tenants/${own.id}/reactivate`)).status).toBe(200);
    const statusOf = async () => (await api.get(`${PLATFORM}/tenants/${late.tenant_id}`)).body.status;
    await eventually(async () => (await statusOf()) === 'active', { timeoutMs: 5_000, intervalMs: 50 });
  });
  it('is not deleted while it has children', async () => {
    const { status, body } = await api.delete(`${PLATFORM}/tenants/${reseller.id}`);
    expect([status, body.code]).toEqual([409, 'tenant.has_children']);
  });
});

describe('a reseller whose plan pools its limits', () => {
  it('bounds the sum of what its children use', async () => {
    const { tenant } = await activeTenant(api, { name: unique('Pool'), plan: 'msp', isolation: 'shared', limits: { devices: 12 } });
    const small = { id: tenant.id as string, as: await keyOf(tenant.id) };
    const children = [await childOf(small, { tenant_tier: 'pro' }), await childOf(small, { tenant_tier: 'pro' })];
    const use = (who: Someone, amount: number) =>
      who.as.post(`/api/tenants/${who.id}/usage/increment`, { resource_type: 'devices', amount });
    const replies = await Promise.all(Array.from({ length: 20 }, (_, n) => use(children[n % 2] as Someone, 1)));
    expect(replies.filter(({ status }) => status === 200)).toHaveLength(12);
    const refused = replies.find(({ status }) => status === 429);
    expect(refused?.body).toMatchObject({ code: 'quota.exceeded', resource: 'devices', limit: 12, remaining: 0 });
    const [quota] = (await small.as.get(`/api/tenants/${small.id}/quotas`)).body.filter((row: any) => row.resource_type === 'devices');
    expect(quota).toMatchObject({ current_usage: 12, quota_limit: 12 });
    const check = await small.as.post(`/api/tenants/${children[0]?.id}/quotas/check`, { resource_type: 'devices' });
    expect(check.body).toMatchObject({ allowed: false, remaining: 0, quota_limit: 100 });
  });
});
