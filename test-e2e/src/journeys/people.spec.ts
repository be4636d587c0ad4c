import { PLATFORM_LOG } from '@tenantry/contracts/ids';
import { eventually } from '@tenantry/testing/eventually';
import pg from 'pg';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Api } from '../harness/api.js';
import { agreeOn } from '../harness/policies.js';
import { type RunFile, sharedSystem } from '../harness/system.js';
import { activeTenant, PLATFORM, unique } from '../harness/tenants.js';

const KEYS = `${PLATFORM}/api-keys`;
let first: Api;
let run: RunFile;
beforeAll(async () => {
  ({ api: first, run } = await sharedSystem());
});
const made = async (by: Api, body: object = {}) => {
  const { status, body: key, text } = await by.post(KEYS, { name: unique('key'), ...body });
  expect(status, text).toBe(201);
  return { ...key, api: first.as(key.key) as Api };
};
const sharedTenant = async () => (await activeTenant(first, { name: unique('Steered'), isolation: 'shared' })).tenant;

describe('platform keys', () => {
  it('are listed, revoked within a second, and end by themselves', async () => {
    const owner = `${unique('ada')}@people.example`;
    const ends = new Date(Date.now() + 2_500).toISOString();
    const [kept, ending] = [await made(first, { owner, permissions: ['platform-key:read'] }), await made(first, { expiresAt: ends })];
    const listed = async (by: Api) => (await by.get(KEYS)).body.items as any[];
    const item = (await listed(first)).find(({ id }) => id === kept.id);
    expect(item).toMatchObject({ owner, permissions: ['platform-key:read'], tenantId: null, revokedAt: null, expiresAt: null });
    expect(item).not.toHaveProperty('key');
    expect((await listed(kept.api)).find(({ id }) => id === kept.id)?.owner).toBeNull();
    expect((await kept.api.delete(`${KEYS}/${kept.id}`)).body.permission).toBe('platform-key:revoke');
    expect((await first.delete(`${KEYS}/${kept.id}`)).body).toMatchObject({ id: kept.id, revokedAt: expect.any(String) });
    await eventually(async () => expect((await kept.api.get(KEYS)).status).toBe(401), { timeoutMs: 1_500, what: 'the key to be refused' });
    expect((await first.delete(`${KEYS}/${kept.id}`)).status).toBe(200);
    await eventually(async () => expect((await ending.api.get(KEYS)).status).toBe(401), { timeoutMs: 5_000, what: 'the key to end' });
  });

  it('of a tenant are revoked by itself too', async () => {
    const tenant = await sharedTenant();
    const { body } = await first.post(`${PLATFORM}/tenants/${tenant.id}/api-keys`, { name: 'own' });
    const own = first.as(body.key);
    const { body: spare } = await own.post(`/api/tenants/${tenant.id}/api-keys`, { name: 'spare', expires_at: '2100-01-01T00:00:00Z' });
    expect(spare.expires_at).toBe('2100-01-01T00:00:00.000Z');
    const revoked = await own.delete(`/api/tenants/${tenant.id}/api-keys/${spare.id}`);
    expect([revoked.status, revoked.body.revoked_at]).toEqual([200, expect.any(String)]);
    await eventually(async () => expect((await first.as(spare.key).get('/api/tenants/current')).status).toBe(401), {
      ...{ timeoutMs: 1_500, what: 'the key to be refused' },
    });
  });
});

describe('somebody else', () => {
  it('is another person, not another key of the same one', async () => {
    const key = unique('guarded');
    const tenant = await sharedTenant();
    const before = (await first.get(`${PLATFORM}/approval-policies`)).body.items;
    await agreeOn(first, [...before, { keys: [key] }]);
    try {
      const owner = `${unique('ada')}@people.example`;
      const ada = await made(first, { owner });
      const [sameOwner, madeWithHers] = [await made(first, { owner: owner.toUpperCase() }), await made(ada.api)];
      expect((await ada.api.post(KEYS, { name: 'bob', owner: 'bob' })).body.errors).toMatchObject([{ field: 'owner' }]);
      const ask = async (by: Api, path: string) => {
        const { status, body } = await by.put(path, { value: unique('v') });
        expect(status).toBe(202);
        return `${PLATFORM}/approvals/${body.approval.id}/approve`;
      };
      const asked = await ask(ada.api, `${PLATFORM}/tenants/${tenant.id}/settings/${key}`);
      for (const { api } of [ada, sameOwner, madeWithHers]) expect((await api.post(asked)).body.code).toBe('approval.same_person');
      const { key: tenants } = (await madeWithHers.api.post(`${PLATFORM}/tenants/${tenant.id}/api-keys`, { name: 'hers' })).body;
      const own = await first.as(tenants).put(`/api/tenants/${tenant.id}/settings/${key}`, { setting_value: 'own' });
      const ofHers = `${PLATFORM}/approvals/${own.body.approval.id}/approve`;
      expect((await sameOwner.api.post(ofHers)).body.code).toBe('approval.same_person');
      const bob = await made(first, { name: 'bob' });
      for (const url of [asked, ofHers]) expect((await bob.api.post(url)).body.status).toBe('applied');
    } finally {
      await agreeOn(first, before);
    }
  });
});

describe('limits', () => {
  it('take another person where another plan does, one by one and in bulk', async () => {
    const tenant = await sharedTenant();
    const limits = `${PLATFORM}/tenants/${tenant.id}/limits`;
    const usersOf = async () => (await first.get(limits)).body.items.find(({ resource }: any) => resource === 'users').limit;
    const [before, users] = [(await first.get(`${PLATFORM}/approval-policies`)).body.items, await usersOf()];
    const [ada, bob] = [await made(first), await made(first)];
    await agreeOn(first, [...before, { commands: ['plan'] }]);
    try {
      const raised = { limits: { users: 4_321 } };
      expect((await ada.api.post(`${limits}/preview`, raised)).body.impacts).toContainEqual(expect.objectContaining({ kind: 'approval' }));
      const { status, body, text } = await ada.api.put(limits, raised);
      expect(status, text).toBe(202);
      const bulk = { action: 'limits', tenantIds: [tenant.id], params: raised };
      const { operation } = (await ada.api.post(`${PLATFORM}/bulk-operations`, bulk)).body;
      const failed = `${PLATFORM}/operations/${operation.id}/items?status=failed`;
      const refused = await eventually(async () => (await first.get(failed)).body.items[0], { what: 'the limits to be refused' });
      expect(refused).toMatchObject({ tenantId: tenant.id, code: 'approval.needed' });
      expect(await usersOf()).toBe(users);
      const url = `${PLATFORM}/approvals/${body.approval.id}`;
      expect((await bob.api.get(url)).body).toMatchObject({ command: 'limits', request: raised, tenantId: tenant.id });
      expect((await ada.api.post(`${url}/approve`)).body.code).toBe('approval.same_person');
      expect((await bob.api.post(`${url}/approve`)).body).toMatchObject({ status: 'applied', error: null });
      expect(await usersOf()).toBe(4_321);
    } finally {
      await agreeOn(first, before);
    }
  });
});

describe('an operation', () => {
  it('is steered by who may start it, whatever it is', async () => {
    const [tenant, doomed] = await Promise.all([sharedTenant(), sharedTenant()]);
    const at = `${PLATFORM}/tenants/${tenant.id}`;
    const started = async (answer: Promise<{ status: number; body: any; text: string }>) => {
      const { status, body, text } = await answer;
      expect(status, text).toBe(202);
      return (body.operation?.id ?? body.id) as string;
    };
    const provisioned = await first.post(`${PLATFORM}/tenants`, { name: unique('Other'), isolation: 'shared' });
    const bulk = { tenantIds: [tenant.id], action: 'tags', params: { add: ['steered'] } };
    const operations: [string, string[]][] = [
      [provisioned.body.operation.id, ['tenant:create']],
      [await started(first.post(`${PLATFORM}/bulk-operations`, bulk)), ['tenant:bulk', 'tenant:update']],
      [await started(first.post(`${PLATFORM}/isolation-checks`, { tenantIds: [tenant.id] })), ['isolation:check']],
      [await started(first.post(`${at}/moves`, { isolation: 'dedicated' })), ['tenant:move']],
      [await started(first.delete(`${PLATFORM}/tenants/${doomed.id}`)), ['tenant:delete']],
    ];
    const narrow = (await made(first, { permissions: ['operation:update'] })).api;
    for (const [id, needed] of operations) {
      const verbs = ['cancel', 'retry', 'pause', 'resume', 'rollback'];
      const refused = await Promise.all(verbs.map((verb) => narrow.post(`${PLATFORM}/operations/${id}/${verb}`)));
      expect(refused.map(({ status, body }) => [status, body.permission])).toEqual(verbs.map(() => [403, needed[0]]));
      const enough = (await made(first, { permissions: ['operation:update', ...needed] })).api;
      const { status, text } = await enough.post(`${PLATFORM}/operations/${id}/cancel`);
      expect([202, 409], text).toContain(status);
    }
  });

  it('is stopped for a reason that stands nowhere in clear', async () => {
    const tenant = await sharedTenant();
    const why = unique('because-of-ms-huang');
    const { body } = await first.post(`${PLATFORM}/bulk-operations`, {
      ...{ action: 'tags', tenantIds: [tenant.id], params: { add: ['x'] } },
    });
    const operation = `${PLATFORM}/operations/${body.operation.id}`;
    const cancelled = await first.post(`${operation}/cancel`, { reason: why });
    const { body: window } = await first.post(`${PLATFORM}/maintenance-windows`, {
      ...{ scope: { tenantIds: [tenant.id] }, reason: 'a new disk', endsAt: new Date(Date.now() + 600_000).toISOString() },
    });
    await first.post(`${PLATFORM}/maintenance-windows/${window.id}/end`, { reason: why });
    expect((await first.get(`${PLATFORM}/maintenance-windows/${window.id}`)).body.endReason).toBe(why);
    if (cancelled.status === 202) expect((await first.get(operation)).body.error.detail).toBe(why);
    // Who may read personal data reads it on the platform's log as on a tenant's.
    const platformLog = `${PLATFORM}/tenants/${PLATFORM_LOG}/events`;
    const { head } = (await first.get(`${platformLog}?limit=1`)).body;
    const { items } = (await first.get(`${platformLog}?after=${Math.max(-1, head - 100)}&limit=200`)).body;
    const ended = items.find(({ type, data }: any) => type === 'MaintenanceEnded' && data.windowId === window.id);
    expect(ended.data.reason).toEqual({ enc: expect.any(String) });
    const clear = await first.post(`${platformLog}/decrypt`, { positions: [ended.position] });
    expect(clear.body.items[0].data.reason).toBe(why);
    const client = new pg.Client({ connectionString: run.postgresUrl.replace(/\/[^/]*$/, '/tenantry') });
    await client.connect();
    try {
      const { rows } = await client.query(
        `SELECT count(*) FILTER (WHERE e::text LIKE '%' || $2 || '%')::int AS clear, count(*) FILTER (WHERE e::text LIKE '%' || $3 || '%')::int AS windows
         FROM log.events e WHERE tenant_id = $1`,
        [PLATFORM_LOG, why, window.id],
      );
      expect(rows).toEqual([{ clear: 0, windows: expect.any(Number) }]);
      expect(rows[0].windows).toBeGreaterThan(2);
    } finally {
      await client.end();
    }
  });
});
