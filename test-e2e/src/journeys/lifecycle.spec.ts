import { eventually } from '@tenantry/testing/eventually';
import pg from 'pg';
import { beforeAll, describe, expect, it } from 'vitest';
import { Random } from '../faults/random.js';
import type { Api } from '../harness/api.js';
import { walk } from '../harness/lifecycle-walk.js';
import { Subscriber } from '../harness/subscriber.js';
import { type RunFile, sharedSystem } from '../harness/system.js';
import { activeTenant, eventsOf, PLATFORM, unique } from '../harness/tenants.js';

let api: Api;
let run: RunFile;
/** Of the tenant that is archived before everything else: its pool lets go of connections in its own time, and is looked at in the end. */
let unused: string;
beforeAll(async () => {
  ({ api, run } = await sharedSystem());
  unused = await archivedInUse();
});
const url = (id: string, rest = '') => `${PLATFORM}/tenants/${id}${rest}`;
const create = async (body: Record<string, unknown> = {}) =>
  (await activeTenant(api, { name: unique('Living'), isolation: 'shared', ...body })).tenant;
const remove = (path: string, body: unknown) =>
  api.raw('DELETE', path, {
    headers: { authorization: `Bearer ${api.key}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
const statusOf = async (id: string) => (await api.get(url(id))).body.status;
const reaches = (id: string, status: string, timeoutMs = 10_000) =>
  eventually(async () => (await statusOf(id)) === status, {
    timeoutMs,
    intervalMs: 50,
    what: `the tenant to be ${status}`,
  });
const connections = async (database: string) => {
  const client = new pg.Client({ connectionString: run.postgresUrl });
  await client.connect();
  try {
    return (await client.query('SELECT FROM pg_stat_activity WHERE datname = $1', [database])).rowCount;
  } finally {
    await client.end();
  }
};
/** @returns the database of a tenant that was archived while there were connections to it */
async function archivedInUse(): Promise<string> {
  const tenant = await create({ isolation: 'isolated' });
  const { database } = (await api.get(url(tenant.id, '/placement'))).body;
  await api.get(url(tenant.id, '/settings'));
  expect(await connections(database)).toBeGreaterThan(0);
  expect((await api.post(url(tenant.id, '/archive'))).status).toBe(200);
  return database;
}
const inMs = (ms: number) => new Date(Date.now() + ms).toISOString();

describe('a tenant that is archived', () => {
  it('is closed to its own credentials, keeps its data, and comes back as it was', async () => {
    const tenant = await create();
    const own = api.as((await api.post(url(tenant.id, '/api-keys'), { name: 'own' })).body.key);
    await api.put(url(tenant.id, '/settings/motto'), { value: 'kept' });
    await api.post(url(tenant.id, '/suspend'), { cause: 'payment' });
    const archived = await api.post(`/api/tenants/${tenant.id}/status/inactive`, { reason: 'left for a year' });
    expect([archived.status, archived.body.tenant_status]).toEqual([200, 'archived']);
    await eventually(async () => (await own.get('/api/tenants/current')).body.code === 'tenant.archived', {
      timeoutMs: 2_000,
      intervalMs: 20,
      what: 'the archive to be felt',
    });
    expect((await api.post(url(tenant.id, '/quotas/check'), { resource: 'api_calls' })).body.code).toBe('tenant.archived');
    const listed = async () => (await api.get(`${PLATFORM}/tenants?status=inactive&q=${tenant.slug}`)).body.items;
    await eventually(async () => (await listed())[0]?.id === tenant.id, { timeoutMs: 5_000, what: 'the list to show it as archived' });
    expect((await api.get(url(tenant.id, '/settings/motto'))).body.value).toBe('kept');
    expect((await api.post(url(tenant.id, '/reactivate'))).body.code).toBe('tenant.transition_not_allowed');
    expect((await api.post(url(tenant.id, '/restore'))).body).toMatchObject({ status: 'suspended', statusCause: 'manual' });
    expect((await api.post(`/api/tenants/${tenant.id}/status/active`)).body.tenant_status).toBe('active');
    await eventually(async () => (await own.get('/api/tenants/current')).status === 200, {
      timeoutMs: 2_000,
      what: 'the own key to work again',
    });
  });
});

describe('a deletion', () => {
  it('is previewed, closes the tenant at once, and is taken back during its grace', async () => {
    const tenant = await create();
    const before = (await api.get(url(tenant.id, '/deletion-preview'))).body;
    expect(before).toMatchObject({ tenantId: tenant.id, domains: 1, subscriptions: 1 });
    expect(before.databaseBytes).toBeGreaterThan(0);
    expect(before.events).toBe((await eventsOf(api, tenant.id)).length);
    const asked = await remove(url(tenant.id), { reason: 'bankrupt', graceDays: 7 });
    expect([asked.status, asked.body.status]).toEqual([202, 'deleting']);
    expect(Date.parse(asked.body.deletion.graceEndsAt) - Date.now()).toBeGreaterThan(6.9 * 86_400_000);
    expect((await api.get(asked.body.operation.url)).body).toMatchObject({
      type: 'deletion',
      steps: expect.arrayContaining([expect.objectContaining({ name: 'grace', status: 'running' })]),
    });
    expect((await api.get(url(tenant.id))).body.deletion).toMatchObject({ feedback: null, winBack: false });
    const again = await api.delete(`/api/tenants/${tenant.id}`);
    expect([again.status, again.body.deletion.grace_ends_at]).toEqual([202, asked.body.deletion.graceEndsAt]);
    expect(again.headers.get('location')).toBe(asked.body.operation.url);
    for (const refused of ['activate', 'suspend', 'reactivate', 'archive', 'restore'])
      expect((await api.post(url(tenant.id, `/${refused}`))).body.code).toBe('tenant.transition_not_allowed');
    expect((await api.post(url(tenant.id, '/undelete'))).body).toMatchObject({ status: 'active', deletion: null });
    expect((await api.get(asked.body.operation.url)).body.status).toBe('cancelled');
    expect((await api.post(url(tenant.id, '/undelete'))).status).toBe(200);
  });

  it('takes what the tenant says why, for operators to read during its grace, from both surfaces', async () => {
    for (const [path, body] of [
      [`${PLATFORM}/tenants`, { feedback: { category: 'price', text: 'too dear for us' }, winBack: true }],
      ['/api/tenants', { feedback: { category: 'price', text: 'too dear for us' }, win_back: true }],
    ] as const) {
      const tenant = await create();
      const asked = await remove(`${path}/${tenant.id}`, body);
      expect(asked.status, asked.text).toBe(202);
      const { deletion } = (await api.get(url(tenant.id))).body;
      expect(deletion).toMatchObject({ feedback: { category: 'price', text: 'too dear for us' }, winBack: true });
      expect(JSON.stringify(await eventsOf(api, tenant.id))).not.toContain('too dear');
      expect((await api.post(url(tenant.id, '/undelete'))).body.deletion).toBeNull();
    }
    const tenant = await create();
    const wrong = await remove(url(tenant.id), { feedback: { category: 'weather', text: 'x'.repeat(2_001) } });
    expect(wrong.status).toBe(422);
    expect(wrong.body.errors.map(({ field }: { field: string }) => field).sort()).toEqual(['feedback.category', 'feedback.text']);
  });

  it('is cancelled as the operation that it is', async () => {
    const tenant = await create();
    const { operation } = (await remove(url(tenant.id), {})).body;
    const cancelled = await api.post(`${operation.url}/cancel`, { reason: 'a mistake' });
    expect([cancelled.status, cancelled.body.status]).toEqual([202, 'cancelled']);
    expect(await statusOf(tenant.id)).toBe('active');
    expect((await api.post(`${operation.url}/cancel`)).body.code).toBe('operation.not_cancellable');
  });

  it('without a grace needs the slug, and is held back by a legal hold', async () => {
    const tenant = await create();
    const careless = await remove(url(tenant.id), { graceDays: 0 });
    expect([careless.status, careless.body.errors]).toEqual([422, [expect.objectContaining({ field: 'confirm' })]]);
    expect((await remove(url(tenant.id), { graceDays: 0, confirm: 'another' })).status).toBe(422);
    const held = await api.put(url(tenant.id, '/legal-hold'), { held: true, reason: 'case 12' });
    expect([held.status, held.body.legalHold]).toEqual([200, true]);
    const refused = await remove(url(tenant.id), { graceDays: 0, confirm: tenant.slug });
    expect([refused.status, refused.body.code]).toEqual([409, 'tenant.legal_hold']);
    expect((await api.put(url(tenant.id, '/legal-hold'), { held: false })).body.legalHold).toBe(false);
    expect(JSON.stringify(await eventsOf(api, tenant.id))).not.toContain('case 12');
  });

  it('stops what is being provisioned, which goes on when it is taken back', async () => {
    const { body } = await api.post(`${PLATFORM}/tenants`, { name: unique('Hasty'), isolation: 'shared' });
    const asked = await remove(url(body.id), {});
    expect(asked.status).toBe(202);
    expect(await statusOf(body.id)).toBe('deleting');
    const back = await api.post(url(body.id, '/undelete'));
    expect([200, 202]).toContain(back.status);
    await reaches(body.id, 'active', 20_000);
    const types = (await eventsOf(api, body.id)).map(({ type }) => type);
    expect(types.filter((type) => type === 'TenantProvisioned')).toHaveLength(1);
    expect(types).not.toContain('TenantProvisioningFailed');
  });
});

describe('the end of a grace', () => {
  it('is the point of no return', async () => {
    const tenant = await create();
    const { operation } = (await remove(url(tenant.id), { graceDays: 0, confirm: tenant.slug })).body;
    await eventually(async () => (await api.get(operation.url)).body.steps?.[0]?.status === 'succeeded', {
      timeoutMs: 10_000,
      what: 'the erasure to begin',
    });
    // 410 once it is erased.
    expect([409, 410]).toContain((await api.post(url(tenant.id, '/undelete'))).status);
    expect([409, 410]).toContain((await api.put(url(tenant.id, '/legal-hold'), { held: true })).status);
    expect([409, 410]).toContain((await api.post(`${operation.url}/cancel`)).status);
  });
});

describe('requests at the same time', () => {
  it('are done one after the other, each from where the one before it led, or refused', async () => {
    const tenant = await create();
    const asks = ['suspend', 'reactivate', 'archive', 'restore', 'undelete', 'suspend', 'archive', 'restore', 'reactivate'].flatMap(
      (name) => [
        () => api.post(url(tenant.id, `/${name}`)),
        () => api.post(`/api/tenants/${tenant.id}/status/active`),
        () => remove(url(tenant.id), {}),
      ],
    );
    const answers = await Promise.all(asks.map((ask) => ask()));
    for (const { status, body } of answers) {
      expect([200, 202, 409]).toContain(status);
      if (status === 409) expect(body.code).toBe('tenant.transition_not_allowed');
    }
    const life = (await eventsOf(api, tenant.id)).filter(({ stream, data }) => stream === 'tenant' && data.before?.status !== undefined);
    expect(life.length).toBeGreaterThan(0);
    const after: Record<string, string> = { TenantSuspended: 'suspended', TenantArchived: 'archived', TenantDeletionScheduled: 'deleting' };
    let status = 'active';
    for (const { type, data } of life) {
      expect(data.before.status).toBe(status);
      status = after[type] ?? data.status;
    }
    expect(await statusOf(tenant.id)).toBe(status);
  });
});

describe('a transition for later', () => {
  it('is listed, done when its time comes, and can be taken back', async () => {
    const tenant = await create();
    const soon = await api.post(url(tenant.id, '/suspend'), { at: inMs(1_500), cause: 'payment', reason: 'last notice' });
    expect([soon.status, soon.body]).toEqual([202, expect.objectContaining({ command: 'suspend', reason: 'last notice' })]);
    const later = await api.post(`/api/tenants/${tenant.id}/status/archived`, { at: inMs(3_600_000) });
    expect([later.status, later.body.command]).toEqual([202, 'archive']);
    const { items } = (await api.get(url(tenant.id, '/scheduled-transitions'))).body;
    expect(items.map(({ id }: any) => id)).toEqual([soon.body.id, later.body.id]);
    expect((await api.delete(url(tenant.id, `/scheduled-transitions/${later.body.id}`))).status).toBe(204);
    expect((await api.delete(url(tenant.id, `/scheduled-transitions/${later.body.id}`))).body.code).toBe('transition.not_found');
    await reaches(tenant.id, 'suspended');
    expect((await api.get(url(tenant.id))).body).toMatchObject({ statusCause: 'payment', statusReason: 'last notice' });
    expect((await api.get(url(tenant.id, '/scheduled-transitions'))).body.items).toEqual([]);
    const past = await api.post(url(tenant.id, '/archive'), { at: inMs(-1_000) });
    expect([past.status, past.body.errors]).toEqual([422, [expect.objectContaining({ field: 'at' })]]);
  });
});

describe('a trial', () => {
  /** The durable timer of the trial's end, made due now. */
  const let14DaysPass = async (id: string) => {
    const client = new pg.Client({ connectionString: run.postgresUrl });
    await client.connect();
    try {
      const { rowCount } = await client.query(
        `UPDATE billing.timers SET next_attempt_at = now() WHERE tenant_id = $1 AND purpose = 'trial-end' AND state = 'pending'`,
        [id],
      );
      expect(rowCount).toBe(1);
    } finally {
      await client.end();
    }
  };

  it('ends by itself, and is not gone back to', async () => {
    const [running, suspended] = await Promise.all([1, 2].map(() => create({ plan: { id: 'pro', trial: true } })));
    await api.post(url(suspended.id, '/suspend'));
    await Promise.all([let14DaysPass(running.id), let14DaysPass(suspended.id)]);
    await reaches(running.id, 'active');
    expect((await api.get(url(running.id))).body.statusCause).toBe('trial_ended');
    await eventually(async () => (await eventsOf(api, suspended.id)).some(({ type }) => type === 'TenantTrialEnded'), {
      timeoutMs: 10_000,
      what: 'the trial to end',
    });
    expect(await statusOf(suspended.id)).toBe('suspended');
    expect((await api.post(url(suspended.id, '/reactivate'))).body.status).toBe('active');
  });

  it('ends early where somebody activates the tenant, and its subscription with it', async () => {
    const tenant = await create({ plan: { id: 'pro', trial: true } });
    expect(tenant.status).toBe('trial');
    expect((await api.post(url(tenant.id, '/activate'))).body.status).toBe('active');
    await eventually(async () => (await api.get(url(tenant.id, '/subscription'))).body.status === 'active', {
      timeoutMs: 10_000,
      what: 'the subscription to leave its trial',
    });
  });
});

describe('the subscribers of a tenant that is suspended', () => {
  it('get nothing within a second, and all of it when the tenant is back; the platform’s go on', async () => {
    const tenant = await create();
    const ask = { name: 'own', contexts: ['tenant'], from: 'new' };
    const [own, platform] = await Promise.all([
      api.post(url(tenant.id, '/event-subscriptions'), ask),
      api.post(`${PLATFORM}/event-subscriptions`, { ...ask, tenants: [tenant.id] }),
    ]);
    const [mine, theirs] = await Promise.all([
      Subscriber.open(own.body, { reconnect: true }),
      Subscriber.open(platform.body, { reconnect: true }),
    ]);
    try {
      await api.put(url(tenant.id), { name: 'Before' });
      expect((await mine.take(1))[0]?.type).toContain('TenantUpdated');
      await theirs.take(1);
      await api.post(url(tenant.id, '/suspend'));
      const startedMs = performance.now();
      const read = async () => (await api.get(url(tenant.id, `/event-subscriptions/${own.body.id}`))).body.status;
      await eventually(async () => (await read()) === 'paused', {
        timeoutMs: 5_000,
        intervalMs: 20,
        what: 'the pause',
      });
      // A bound for busy machines.
      expect(performance.now() - startedMs).toBeLessThan(3_000);
      await api.put(url(tenant.id), { name: 'Meanwhile' });
      expect((await theirs.take(2)).map(({ type }) => type)).toEqual([
        expect.stringContaining('TenantSuspended'),
        expect.stringContaining('TenantUpdated'),
      ]);
      await api.post(url(tenant.id, '/reactivate'));
      await eventually(async () => (await read()) === 'active', {
        timeoutMs: 5_000,
        what: 'the subscription to go on',
      });
      const missed = await mine.take(3, { timeoutMs: 20_000 });
      expect(missed.map(({ type }) => type)).toEqual(
        ['TenantSuspended', 'TenantUpdated', 'TenantReactivated'].map((type) => expect.stringContaining(type)),
      );
    } finally {
      await Promise.all([mine.close(), theirs.close()]);
    }
  });
});

describe('any sequence of requests, from both surfaces', () => {
  it.each([1])('is answered as the table of the contract says (seed %i)', async (seed) => {
    await walk(api, new Random(`lifecycle/${seed}`), 40);
  });
});

describe('a tenant that was archived a while ago', () => {
  it('holds no connection to a database of its own', async () => {
    await eventually(async () => (await connections(unused)) === 0, { timeoutMs: 20_000, what: 'its connections to close' });
  });
});
