import { eventually } from '@tenantry/testing/eventually';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Api } from '../harness/api.js';
import { sharedSystem } from '../harness/system.js';
import { activeTenant, eventsOf, PLATFORM, unique } from '../harness/tenants.js';

let api: Api;
let id: string;
/** What was answered when it was made, by the position that the answer named. */
const answered: { position: number; body: any }[] = [];
let between: string;
const url = (rest = '') => `${PLATFORM}/tenants/${id}${rest}`;
const paged = async (path: string) => {
  const items: any[] = [];
  for (let cursor = ''; ; ) {
    const { status, body } = await api.get(`${path}${cursor}`);
    expect(status).toBe(200);
    items.push(...body.items);
    if (body.nextCursor === null) return items;
    cursor = `&cursor=${body.nextCursor}`;
  }
};

beforeAll(async () => {
  ({ api } = await sharedSystem());
  const { tenant } = await activeTenant(api, { name: unique('Traveller'), isolation: 'shared', billingEmail: 'first@acme.example' });
  id = tenant.id;
  const change = async (reply: { status: number; body: any }) => {
    expect(reply.status).toBe(200);
    answered.push({ position: reply.body.position, body: reply.body });
  };
  await change(await api.put(url(), { name: 'Renamed' }));
  await change(await api.put(url(), { billingEmail: 'second@acme.example' }));
  await api.put(url('/settings/theme'), { value: 'dark' });
  await api.put(url('/settings/token'), { value: 'hunter2', encrypted: true });
  await new Promise((resolve) => setTimeout(resolve, 20));
  between = new Date().toISOString();
  await new Promise((resolve) => setTimeout(resolve, 20));
  await change(await api.put(url(), { plan: 'business' }));
  await change(await api.post(url('/suspend'), { reason: 'Ms Doe asked for it' }));
  await change(await api.post(url('/reactivate')));
  // Limits, subscription and settings follow the plan.
  await eventually(
    async () => {
      const types = (await eventsOf(api, id)).map(({ type }) => type);
      return (
        ['QuotasChanged', 'SubscriptionPlanChanged'].every((type) => types.includes(type)) &&
        types.filter((type) => type === 'SettingChanged').length >= 4
      );
    },
    { timeoutMs: 15_000, what: 'everything to follow the plan' },
  );
});

describe('a tenant as it was', () => {
  it('at each position is what was answered there', async () => {
    for (const { position, body } of answered) {
      const then = await api.get(url(`?at=${position}`));
      expect(then.status).toBe(200);
      expect(then.body).toMatchObject(body);
      expect(then.headers.get('etag')).toBe(`W/"${position}"`);
      const again = await api.get(url(`?at=${position}`), { 'if-none-match': `W/"${position}"` });
      expect(again.status).toBe(304);
    }
  });

  it('at an instant has the settings, limits and contacts of then', async () => {
    const { body } = await api.get(url(`?at=${between}`));
    expect(body).toMatchObject({
      name: 'Renamed',
      billingEmail: 'second@acme.example',
      plan: { id: 'free' },
      theme: 'dark',
      status: 'active',
    });
    const setting = (key: string) => body.settings.find((one: any) => one.key === key);
    expect(setting('security_level').value).toBe('basic');
    expect(setting('theme').value).toBe('dark');
    expect(setting('token')).toMatchObject({ value: '********', encrypted: true });
    expect(body.quotas.find(({ resource }: any) => resource === 'users').limit).toBe(5);
    expect(body.subscription).toMatchObject({ plan: { id: 'free' }, priceMinor: 0 });
    const now = (await api.get(url(`?at=${new Date().toISOString()}`))).body;
    expect(now.settings.find((one: any) => one.key === 'security_level').value).toBe('advanced');
    expect(now.quotas.find(({ resource }: any) => resource === 'users').limit).toBe(500);
    expect(now.subscription.plan.id).toBe('business');
  });

  it('is the same on the tenant surface, for its own key too', async () => {
    const { body: created } = await api.post(url('/api-keys'), { name: 'own' });
    for (const path of ['/api/tenants/current', `/api/tenants/${id}`]) {
      const { status, body } = await api.as(created.key).get(`${path}?at=${between}`);
      expect(status).toBe(200);
      expect(body).toMatchObject({
        tenant_id: id,
        organization_name: 'Renamed',
        tenant_tier: 'free',
        billing_email: 'second@acme.example',
      });
      expect(body.settings.find((one: any) => one.setting_key === 'theme').setting_value).toBe('dark');
    }
  });

  it('was not there before its first event', async () => {
    const reply = await api.get(url('?at=2020-01-01T00:00:00Z'));
    expect([reply.status, reply.body.code]).toEqual([404, 'tenant.not_found']);
    expect(reply.body.detail).toContain('2020');
  });
});

describe('the history', () => {
  it('lists every event of the log with what it changed, in pages, both ways', async () => {
    const log = await eventsOf(api, id);
    const items = await paged(url('/history?limit=7'));
    expect(items.map(({ position, type, recordedAt }) => ({ position, type, recordedAt }))).toEqual(
      log.slice(0, items.length).map(({ position, type, recordedAt }) => ({ position, type, recordedAt })),
    );
    expect(items.length).toBeGreaterThanOrEqual(log.length);
    const renamed = items.find(({ position }) => position === answered[0]?.position);
    expect(renamed).toMatchObject({ type: 'TenantUpdated', actor: { kind: 'staff' }, changes: [{ path: 'name', to: 'Renamed' }] });
    const secret = items.find(({ changes }) => changes.some(({ path }: any) => path === 'settings.token'));
    expect(secret.changes).toContainEqual({ path: 'settings.token', from: null, to: '********' });
    const suspended = items.find(({ type }) => type === 'TenantSuspended');
    expect(suspended.changes).toEqual(
      expect.arrayContaining([
        { path: 'status', from: 'active', to: 'suspended' },
        { path: 'statusReason', from: 'provisioned', to: 'Ms Doe asked for it' },
      ]),
    );
    const back = await paged(url('/history?limit=7&order=desc'));
    expect(back.reverse()).toEqual(items);
    expect(JSON.stringify(items)).not.toContain('hunter2');
  });

  it('hides personal values from who may not read them', async () => {
    const { body: created } = await api.post(url('/api-keys'), { name: 'auditor', permissions: ['audit:read'] });
    const own = await api.as(created.key).get(`/api/tenants/${id}/history?limit=200`);
    expect(own.status).toBe(200);
    expect(own.text).not.toMatch(/acme\.example|Doe|hunter2/);
    expect(own.headers.get('x-total-count')).toBe(String(own.body.length));
    const rows = await api.as(created.key).get(`/api/tenants/${id}/history?limit=2&offset=3`);
    expect(rows.body.map(({ position }: any) => position)).toEqual([3, 4]);
  });

  it('says what is different between two moments', async () => {
    const head = (await eventsOf(api, id)).length - 1;
    const { status, body } = await api.get(url(`/history/diff?from=${between}&to=${head}`));
    expect(status).toBe(200);
    expect(body.changes).toEqual(
      expect.arrayContaining([
        { path: 'plan.id', from: 'free', to: 'business' },
        { path: 'settings.security_level', from: 'basic', to: 'advanced' },
        { path: 'quotas.users.limit', from: 5, to: 500 },
        { path: 'subscription.plan.id', from: 'free', to: 'business' },
      ]),
    );
    expect(body.changes.map(({ path }: any) => path)).not.toContain('name');
    const surface = await api.get(`/api/tenants/${id}/history/diff?from=${between}&to=${head}`);
    expect(surface.body).toEqual(body);
    expect((await api.get(url(`/history/diff?from=${head}&to=${head}`))).body).toEqual({ changes: [] });
  });
});

it('the configuration as a whole is what the log says', async () => {
  const { status, body } = await api.get(url('/config'));
  expect(status).toBe(200);
  expect(body).toMatchObject({
    ...{ tenantId: id, name: 'Renamed', tier: 'professional', plan: { id: 'business' }, isolation: 'shared' },
    quotas: { users: 500, bandwidth: null },
    security: { security_level: 'advanced', session_timeout_minutes: 120 },
    features: { custom_domains: true },
  });
});
