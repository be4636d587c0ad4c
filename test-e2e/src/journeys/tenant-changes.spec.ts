import { eventually } from '@tenantry/testing/eventually';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Api } from '../harness/api.js';
import { sharedSystem } from '../harness/system.js';
import { activeTenant, eventsOf, PLATFORM, unique } from '../harness/tenants.js';

let api: Api;
beforeAll(async () => {
  ({ api } = await sharedSystem());
});
const create = async (body: Record<string, unknown> = {}) =>
  (await activeTenant(api, { name: unique('Changing'), isolation: 'shared', ...body })).tenant;
const url = (id: string, rest = '') => `${PLATFORM}/tenants/${id}${rest}`;

describe('the tenant surface and the platform surface', () => {
  it('rename a tenant, and remove a contact', async () => {
    const tenant = await create({ billingEmail: 'bill@acme.example' });
    const renamed = await api.put(url(tenant.id), { name: 'Acme Two' }, { 'if-match': `"${tenant.version}"` });
    expect([renamed.status, renamed.body.name, renamed.body.version]).toEqual([200, 'Acme Two', tenant.version + 1]);
    expect((await api.put(url(tenant.id), { name: 'Late' }, { 'if-match': `"${tenant.version}"` })).status).toBe(412);
    const other = await api.put(`/api/tenants/${tenant.id}`, { organization_name: 'Acme Three', billing_email: null });
    expect([other.status, other.body.organization_name, other.body.billing_email]).toEqual([200, 'Acme Three', null]);
    expect((await api.get(url(tenant.id))).body).toMatchObject({ name: 'Acme Three', billingEmail: null });
  });

  it('set settings, each with its type, and mask the sensitive ones', async () => {
    const tenant = await create();
    const put = await api.put(url(tenant.id, '/settings/smtp.password'), { value: 'hunter2', encrypted: true, category: 'notifications' });
    expect([put.status, put.body.value, put.body.encrypted]).toEqual([200, '********', true]);
    const row = await api.put(`/api/tenants/${tenant.id}/settings/max_seats`, { setting_value: 12 });
    expect([row.status, row.body]).toEqual([
      200,
      expect.objectContaining({ setting_key: 'max_seats', setting_value: 12, setting_type: 'number', is_encrypted: false }),
    ]);
    const etag = row.headers.get('etag') as string;
    expect((await api.put(url(tenant.id, '/settings/max_seats'), { value: 13 }, { 'if-match': etag })).body.value).toBe(13);
    expect((await api.put(url(tenant.id, '/settings/max_seats'), { value: 14 }, { 'if-match': etag })).status).toBe(412);
    const again = await api.put(url(tenant.id, '/settings/max_seats'), { value: 13 });
    expect(again.body.value).toBe(13);
    const log = await eventsOf(api, tenant.id);
    expect(log.filter(({ type }) => type === 'SettingChanged')).toHaveLength(3);
    expect(JSON.stringify(log)).not.toContain('hunter2');
    const all = (await api.get(url(tenant.id, '/settings'))).body.items;
    expect(all.find(({ key }: any) => key === 'smtp.password')).toMatchObject({ value: '********', category: 'notifications' });
  });

  it('show the regional settings as what they are: fields of the tenant', async () => {
    const tenant = await create();
    expect((await api.put(url(tenant.id, '/settings/timezone'), { value: 'Europe/Berlin' })).body.value).toBe('Europe/Berlin');
    expect((await api.get(url(tenant.id))).body.timezone).toBe('Europe/Berlin');
    await api.put(url(tenant.id), { timezone: 'Asia/Tokyo' });
    const { body, headers } = await api.get(url(tenant.id, '/settings/timezone'));
    expect(body.value).toBe('Asia/Tokyo');
    expect(headers.get('etag')).toBe((await api.get(url(tenant.id))).headers.get('etag'));
    expect((await api.get(url(tenant.id, '/settings'))).body.items.find(({ key }: any) => key === 'timezone').value).toBe('Asia/Tokyo');
  });
});

describe('a change of plan', () => {
  it('takes limits, subscription and settings along; overrides and what is used stay', async () => {
    const tenant = await create({ limits: { users: 7 } });
    await api.post(url(tenant.id, '/usage/increment'), { resource: 'api_calls', amount: 10 });
    const changed = await api.put(`/api/tenants/${tenant.id}`, { tenant_tier: 'pro' });
    expect([changed.status, changed.body.tenant_tier]).toEqual([200, 'pro']);
    await eventually(
      async () => {
        const [quotas, subscription, level] = await Promise.all([
          api.get(url(tenant.id, '/quotas')),
          api.get(url(tenant.id, '/subscription')),
          api.get(url(tenant.id, '/settings/security_level')),
        ]);
        const of = (name: string) => quotas.body.items.find(({ resource }: any) => resource === name);
        expect(of('api_calls')).toMatchObject({ limit: 10_000, used: 10 });
        expect(of('users')).toMatchObject({ limit: 7 });
        expect(subscription.body).toMatchObject({ plan: { id: 'professional' }, priceMinor: 29_900 });
        expect(level.body.value).toBe('standard');
        return true;
      },
      { timeoutMs: 10_000, what: 'limits, subscription and settings to follow the plan' },
    );
    const [event] = (await eventsOf(api, tenant.id)).filter(({ type }) => type === 'TenantPlanChanged');
    expect(event.data).toMatchObject({ plan: { id: 'professional', priceMinor: 29_900 }, before: { plan: { id: 'free', priceMinor: 0 } } });
  });

  it('needs the permission for payment', async () => {
    const tenant = await create();
    const { body } = await api.post(url(tenant.id, '/api-keys'), { name: 'editor', permissions: ['tenant:update', 'tenant:read'] });
    const editor = api.as(body.key);
    expect((await editor.put(`/api/tenants/${tenant.id}`, { tenant_tier: 'business' })).status).toBe(403);
    expect((await editor.put(`/api/tenants/${tenant.id}`, { organization_name: 'Mine' })).status).toBe(200);
    expect((await api.put(url(tenant.id), { plan: 'platinum' })).body.errors).toMatchObject([{ field: 'plan' }]);
  });
});

describe('a suspension', () => {
  it('ends with the state before, keeps the reason to itself, and is not made twice', async () => {
    const tenant = await create({ plan: { id: 'pro', trial: true } });
    const suspended = await api.post(url(tenant.id, '/suspend'), { reason: 'Ms Doe did not pay', cause: 'payment' });
    expect(suspended.body).toMatchObject({ status: 'suspended', statusReason: 'Ms Doe did not pay', statusCause: 'payment' });
    const again = await api.post(`/api/tenants/${tenant.id}/status/suspended`);
    expect([again.status, again.body.tenant_status]).toEqual([200, 'suspended']);
    expect((await api.post(url(tenant.id, '/activate'))).body.code).toBe('tenant.transition_not_allowed');
    expect((await api.post(url(tenant.id, '/reactivate'))).body).toMatchObject({ status: 'trial', statusReason: 'manual' });
    expect((await api.post(url(tenant.id, '/reactivate'))).status).toBe(200);
    const log = await eventsOf(api, tenant.id);
    expect(log.filter(({ type }) => type.startsWith('TenantSuspended') || type === 'TenantReactivated')).toHaveLength(2);
    expect(JSON.stringify(log)).not.toContain('Doe');
    expect((await api.post(`/api/tenants/${tenant.id}/status/deleted`)).body.errors).toMatchObject([{ field: 'status' }]);
  });

  it('stops the tenant’s own keys and its consumption within a second, and lets them go on', async () => {
    const tenant = await create();
    const { body } = await api.post(url(tenant.id, '/api-keys'), { name: 'own' });
    const own = api.as(body.key);
    const within = async (status: number, what: string) => {
      const startedMs = performance.now();
      await eventually(
        async () => {
          const replies = await Promise.all([
            own.get('/api/tenants/current'),
            own.put(`/api/tenants/${tenant.id}/settings/motto`, { setting_value: 'x' }),
            api.post(url(tenant.id, '/usage/increment'), { resource: 'api_calls' }),
            api.post(url(tenant.id, '/quotas/check'), { resource: 'api_calls' }),
          ]);
          for (const reply of replies) {
            expect(reply.status).toBe(status);
            if (status === 403) expect(reply.body.code).toBe('tenant.suspended');
          }
          return true;
        },
        { timeoutMs: 5_000, intervalMs: 10, what },
      );
      return performance.now() - startedMs;
    };
    await within(200, 'a new key to work');
    await api.post(url(tenant.id, '/suspend'));
    // A bound for busy machines; what is promised is half a second after the log knows.
    expect(await within(403, 'the suspension to be felt')).toBeLessThan(2_000);
    expect((await api.get(url(tenant.id))).status).toBe(200);
    expect((await api.put(url(tenant.id), { name: 'Still ours to change' })).status).toBe(200);
    await api.post(`/api/tenants/${tenant.id}/status/active`);
    expect(await within(200, 'the end of the suspension to be felt')).toBeLessThan(2_000);
  });
});
