import { eventually } from '@tenantry/testing/eventually';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Api } from '../harness/api.js';
import { sharedSystem } from '../harness/system.js';
import { activeTenant, eventsOf, PLATFORM, unique } from '../harness/tenants.js';

let api: Api;
let second: Api;
beforeAll(async () => {
  ({ api } = await sharedSystem());
  const { body } = await api.post(`${PLATFORM}/api-keys`, { name: unique('second person') });
  second = api.as(body.key);
});
const create = async (body: Record<string, unknown> = {}) =>
  (await activeTenant(api, { name: unique('Configured'), isolation: 'shared', ...body })).tenant;
const url = (id: string, rest = '') => `${PLATFORM}/tenants/${id}${rest}`;

describe('sensitive settings', () => {
  it('are in clear only where they are asked for, and never in lists of what was done', async () => {
    const tenant = await create();
    await api.put(url(tenant.id, '/settings/smtp.password'), { value: 'was-open-7' });
    await api.put(url(tenant.id, '/settings/smtp.password'), { value: 'hunter2', encrypted: true });
    const { body } = await api.post(url(tenant.id, '/api-keys'), {
      name: 'auditor',
      permissions: ['settings:read', 'personal:read', 'audit:read'],
    });
    const auditor = api.as(body.key);
    expect((await auditor.get(`/api/tenants/${tenant.id}/settings/smtp.password?reveal=true`)).body.code).toBe('auth.forbidden');
    expect((await api.get(`/api/tenants/${tenant.id}/settings/smtp.password?reveal=true`)).body.setting_value).toBe('hunter2');
    const entries = await eventually(
      async () => {
        const reply = await api.get(`${url(tenant.id, '/audit-logs')}?action=config.SettingChanged`);
        expect(reply.body.items).toHaveLength(2);
        return reply;
      },
      { timeoutMs: 10_000, what: 'the audit entries' },
    );
    expect(entries.text).not.toMatch(/hunter2|was-open-7/);
    for (const path of ['/history?limit=200', '/config-versions', '/settings', '/config'])
      expect((await api.get(url(tenant.id, path))).text).not.toMatch(/hunter2|was-open-7/);
  });
});

describe('the configuration', () => {
  it.each(['constructor', 'toString', 'hasOwnProperty'])('has a setting and a flag named %s, like any other', async (name) => {
    const { id } = await create();
    const path = url(id, `/settings/${name}`);
    expect((await api.get(path)).status).toBe(404);
    expect((await api.put(path, { value: 1 })).body).toMatchObject({ key: name, value: 1, type: 'number' });
    expect((await api.put(path, { value: 2 })).body.value).toBe(2);
    expect((await api.get(url(id, `/features/${name}/evaluate`))).body.enabled).toBe(false);
    expect((await api.put(url(id, `/features/${name}`), { enabled: true })).status).toBe(200);
    expect((await api.get(url(id, `/features/${name}/evaluate`))).body.enabled).toBe(true);
    expect((await api.delete(path)).body.removed).toBe(true);
    expect((await api.get(path)).status).toBe(404);
    const versions = await api.get(url(id, '/config-versions'));
    expect(versions.body.items.map(({ changes }: any) => changes.length > 0)).toEqual(versions.body.items.map(() => true));
  });
  it('has a setting created, and not replaced, with If-None-Match: *, by one of many at once', async () => {
    const { id } = await create();
    const path = url(id, '/settings/created');
    const put = (value: number) => api.put(path, { value }, { 'if-none-match': '*' });
    const statuses = (await Promise.all([1, 2, 3, 4].map(put))).map(({ status }) => status);
    expect(statuses.toSorted()).toEqual([200, 412, 412, 412]);
    const { value } = (await api.get(path)).body;
    expect(statuses[value - 1]).toBe(200);
    expect((await put(9)).body.code).toBe('precondition.failed');
    expect((await api.get(path)).body.value).toBe(value);
    expect((await api.put(url(id), { name: 'Other' }, { 'if-none-match': '*' })).status).toBe(412);
  });
  it('is written as it is read, looked at before, versioned and rolled back', async () => {
    const tenant = await create();
    const { body: config } = await api.get(url(tenant.id, '/config'));
    const wanted = { ...config, settings: { ...config.settings, motto: 'hi', timezone: 'Asia/Tokyo' }, features: { beta: true } };
    const preview = await api.post(url(tenant.id, '/config/preview'), wanted);
    expect(preview.body.changes).toContainEqual({ path: 'timezone', from: 'UTC', to: 'Asia/Tokyo' });
    expect((await api.get(url(tenant.id, '/config'))).body).toEqual(config);
    expect((await api.put(url(tenant.id, '/config'), wanted)).body).toEqual(wanted);
    expect((await api.put(url(tenant.id, '/config'), { region: 'elsewhere' })).body.errors).toMatchObject([{ field: 'region' }]);
    const versions = await api.get(url(tenant.id, '/config-versions'));
    expect(versions.body.items.map(({ version }: any) => version)).toEqual([3, 2, 1]);
    expect((await api.get(url(tenant.id, '/config-versions/1/diff/3'))).body.changes).toContainEqual({
      path: 'settings.motto',
      from: null,
      to: 'hi',
    });
    const back = await api.post(url(tenant.id, '/config-versions/1/rollback'));
    expect(back.status).toBe(200);
    expect((await api.get(url(tenant.id, '/config'))).body).toMatchObject({ settings: config.settings, features: config.features });
    expect((await api.get(url(tenant.id, `/config-versions/1/diff/${back.body.version}`))).body.changes).toEqual([]);
    expect((await api.post(url(tenant.id, '/config-versions/99/rollback'))).body.code).toBe('config_version.not_found');
    const rows = await api.get(`/api/tenants/${tenant.id}/config-versions`);
    expect(rows.body[0]).toMatchObject({ version: back.body.version, changed_at: expect.any(String) });
  });

  it('edited by many at once on the same version is changed by one of them', async () => {
    const tenant = await create();
    const { headers } = await api.put(url(tenant.id, '/settings/motto'), { value: 'start' });
    const etag = headers.get('etag') as string;
    const replies = await Promise.all(
      Array.from({ length: 8 }, (_, n) => api.put(url(tenant.id, '/settings/motto'), { value: `n${n}` }, { 'if-match': etag })),
    );
    expect(replies.map(({ status }) => status).sort()).toEqual([200, ...Array(7).fill(412)]);
    const won = replies.find(({ status }) => status === 200);
    expect((await api.get(url(tenant.id, '/settings/motto'))).body.value).toBe(won?.body.value);
  });
});

describe('feature flags', () => {
  it('are set, rolled out to a growing share, scheduled and reset', async () => {
    const tenant = await create({ plan: 'business' });
    const flags = async () => (await api.get(url(tenant.id, '/features'))).body.items;
    expect(await flags()).toContainEqual(expect.objectContaining({ flag: 'custom_domains', enabled: true, source: 'plan', at: null }));
    const subjects = Array.from({ length: 40 }, (_, n) => `user-${n}`);
    const inAt = async (percentage: number) => {
      expect((await api.put(url(tenant.id, '/features/launch'), { enabled: true, percentage })).status).toBe(200);
      const replies = await Promise.all(subjects.map((subject) => api.get(url(tenant.id, `/features/launch/evaluate?subject=${subject}`))));
      return new Set(subjects.filter((_, n) => replies[n]?.body.enabled));
    };
    const [few, more, all] = [await inAt(20), await inAt(60), await inAt(100)];
    expect([...few].every((subject) => more.has(subject))).toBe(true);
    expect([few.size < more.size, more.size < all.size, all.size]).toEqual([true, true, 40]);
    const at = new Date(Date.now() + 1_500).toISOString();
    const scheduled = await api.put(url(tenant.id, '/features/custom_domains'), { enabled: false, at });
    expect(scheduled.body).toMatchObject({ enabled: true, at, scheduled: { enabled: false } });
    await eventually(
      async () => {
        expect(await flags()).toContainEqual(
          expect.objectContaining({ flag: 'custom_domains', enabled: false, source: 'override', at: null }),
        );
        const come = (await eventsOf(api, tenant.id)).filter(({ type, data }) => type === 'FeatureChanged' && data.scheduledAt === at);
        expect(come).toHaveLength(1);
        return true;
      },
      { timeoutMs: 10_000, what: 'the schedule to come' },
    );
    const { body } = await api.post(url(tenant.id, '/api-keys'), { name: 'own' });
    const own = api.as(body.key);
    expect((await own.get(`/api/tenants/${tenant.id}/features/custom_domains/evaluate`)).body.enabled).toBe(false);
    expect((await own.put(url(tenant.id, '/features/custom_domains'), { enabled: true })).status).toBe(403);
    await api.delete(url(tenant.id, '/features/custom_domains'));
    expect((await own.get(`/api/tenants/${tenant.id}/features/custom_domains/evaluate`)).body.enabled).toBe(true);
  });
});

describe('a change that needs a second person', () => {
  // A key of this spec alone: the policies are those of the whole platform.
  const key = unique('guarded');
  it('waits, is approved by another, and is made', async () => {
    const tenant = await create();
    const policy = { keys: [key], approvers: 1, expiresHours: 1 };
    const put = await api.put(`${PLATFORM}/approval-policies`, { items: [policy] });
    expect([put.status, put.body.items]).toEqual([200, [policy]]);
    const asked = await api.put(`/api/tenants/${tenant.id}/settings/${key}`, { setting_value: 'new' });
    expect([asked.status, asked.body.approval.status]).toEqual([202, 'pending']);
    const approval = `${PLATFORM}/approvals/${asked.body.approval.id}`;
    expect((await api.get(url(tenant.id, `/settings/${key}`))).status).toBe(404);
    expect((await api.post(`${approval}/approve`)).body.code).toBe('approval.same_person');
    await eventually(
      async () => {
        const { body } = await second.get(`${PLATFORM}/approvals?status=pending&tenantId=${tenant.id}`);
        expect(body.items).toMatchObject([{ id: asked.body.approval.id, changes: [{ path: `settings.${key}` }] }]);
        return true;
      },
      { timeoutMs: 10_000, what: 'the approval to be listed' },
    );
    const approved = await second.post(`${approval}/approve`, { reason: 'looks right' });
    expect(approved.body).toMatchObject({ status: 'applied', changes: [{ path: `settings.${key}`, from: null, to: 'new' }] });
    expect((await api.get(url(tenant.id, `/settings/${key}`))).body.value).toBe('new');
    const types = (await eventsOf(api, tenant.id)).map(({ type }) => type).filter((type) => /Approval|SettingChanged/.test(type));
    expect(types).toEqual(['ApprovalRequested', 'ApprovalGiven', 'SettingChanged', 'ApprovalApplied']);
    const refused = await api.put(url(tenant.id, `/settings/${key}`), { value: 'newer' });
    expect((await second.post(`${PLATFORM}/approvals/${refused.body.approval.id}/reject`)).body.status).toBe('rejected');
    expect((await second.post(`${PLATFORM}/approvals/${refused.body.approval.id}/approve`)).body.code).toBe('approval.not_pending');
    const late = await (async () => {
      await api.put(`${PLATFORM}/approval-policies`, { items: [{ ...policy, expiresHours: 0.0003 }] });
      return api.put(url(tenant.id, `/settings/${key}`), { value: 'late' });
    })();
    await eventually(
      async () => {
        expect((await second.get(`${PLATFORM}/approvals/${late.body.approval.id}`)).body.status).toBe('expired');
        return true;
      },
      { timeoutMs: 10_000, what: 'the approval to expire' },
    );
    const without = await api.put(`${PLATFORM}/approval-policies`, { items: [] });
    expect([without.status, (await api.put(url(tenant.id, `/settings/${key}`), { value: 'free' })).status]).toEqual([202, 202]);
    const ofPolicies = `${PLATFORM}/approvals/${without.body.approval.id}`;
    expect((await api.post(`${ofPolicies}/approve`)).body.code).toBe('approval.same_person');
    expect((await second.post(`${ofPolicies}/approve`)).body).toMatchObject({ status: 'applied', tenantId: null, request: { items: [] } });
    await eventually(
      async () => {
        const listed = (await second.get(`${PLATFORM}/approvals?status=applied`)).body.items;
        expect(listed).toContainEqual(
          expect.objectContaining({ id: without.body.approval.id, command: 'approval-policies', tenantId: null }),
        );
        return true;
      },
      { timeoutMs: 10_000, what: 'the approval of the policies to be listed' },
    );
    expect((await api.put(`${PLATFORM}/approval-policies`, { items: [{ commands: ['dance'] }] })).status).toBe(422);
    expect((await api.put(url(tenant.id, `/settings/${key}`), { value: 'free' })).status).toBe(200);
  });
});

describe('a configuration for many tenants', () => {
  it('comes to a canary first, and to the others when somebody has had it go on', async () => {
    const tag = unique('rollout');
    const tenants = await Promise.all([1, 2, 3].map(() => create({ tags: [tag] })));
    const ids = tenants.map(({ id }) => id);
    const params = { settings: { motto: 'rolled out', timezone: 'Asia/Tokyo' }, features: { launch: { enabled: true, percentage: 5 } } };
    const ask = (more: object) => api.post(`${PLATFORM}/bulk-operations`, { action: 'settings', tenantIds: ids, ...more });
    expect((await ask({ params: { settings: { security_level: 'paranoid' } } })).body.errors).toMatchObject([
      { field: 'params.settings.security_level' },
    ]);
    expect((await ask({ params, dryRun: true })).body.matched).toBe(3);
    const started = await ask({ params: { ...params, canary: [ids[1]] } });
    expect(started.status).toBe(202);
    const operation = `${PLATFORM}/operations/${started.body.operation.id}`;
    const is = (status: string) =>
      eventually(async () => expect((await api.get(operation)).body.status).toBe(status), {
        timeoutMs: 15_000,
        what: `it to be ${status}`,
      });
    const mottos = async () =>
      (await Promise.all(ids.map((id) => api.get(url(id, '/settings/motto'))))).map(({ status, body }) =>
        status === 200 ? body.value : null,
      );
    await is('paused');
    expect(await mottos()).toEqual([null, 'rolled out', null]);
    await api.post(`${operation}/resume`);
    await is('succeeded');
    expect(await mottos()).toEqual(Array(3).fill('rolled out'));
    expect((await api.get(url(ids[0] as string, '/features'))).body.items).toContainEqual(
      expect.objectContaining({ flag: 'launch', percentage: 5 }),
    );
  });
});

describe('another plan', () => {
  it('can be looked at before', async () => {
    const tenant = await create({ plan: 'pro' });
    await api.post(url(tenant.id, '/usage/increment'), { resource: 'devices', amount: 30 });
    const { status, body } = await api.post(url(tenant.id, '/preview'), { plan: 'free' });
    expect(status).toBe(200);
    expect(body.changes).toContainEqual({ path: 'plan.id', from: 'professional', to: 'free' });
    expect(body.changes).toContainEqual({ path: 'quotas.devices.limit', from: 100, to: 10 });
    expect(body.impacts.map(({ kind }: any) => kind)).toEqual(expect.arrayContaining(['over_limit', 'price', 'feature_lost', 'retention']));
    expect((await api.get(url(tenant.id))).body.plan.id).toBe('professional');
  });
});
