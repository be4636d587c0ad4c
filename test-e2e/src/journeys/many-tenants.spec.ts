import { newId } from '@tenantry/contracts/ids';
import { eventually } from '@tenantry/testing/eventually';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Api } from '../harness/api.js';
import { agreeOn } from '../harness/policies.js';
import { type RunFile, sharedSystem } from '../harness/system.js';
import { activeTenant, eventsOf, PLATFORM, unique } from '../harness/tenants.js';

const COUNT = 6;
const BULK = `${PLATFORM}/bulk-operations`;
const WINDOWS = `${PLATFORM}/maintenance-windows`;
let api: Api;
let run: RunFile;
const tag = unique('many');
let ids: string[] = [];

beforeAll(async () => {
  ({ api, run } = await sharedSystem());
  const made = await Promise.all(
    Array.from({ length: COUNT }, (_, index) =>
      activeTenant(api, { name: unique(`Many ${index}`), isolation: 'shared', tags: [tag], adminEmail: `admin-${index}@many.example` }),
    ),
  );
  ids = made.map(({ tenant }) => tenant.id);
  await eventually(async () => expect((await api.get(`${PLATFORM}/tenants?tag=${tag}`)).body.items).toHaveLength(COUNT), {
    timeoutMs: 10_000,
    what: 'the tenants to be in the list',
  });
});

const ended = (id: string, timeoutMs = 20_000) =>
  eventually(
    async () => {
      const { body } = await api.get(`${PLATFORM}/operations/${id}`);
      if (body.finishedAt === null) throw new Error(`the operation is ${body.status}`);
      return body;
    },
    { timeoutMs, what: `operation ${id} to end` },
  );
const outbox = async (query: string): Promise<any[]> => (await (await fetch(`${run.mailOutboxUrl}?${query}`)).json()) as any[];
const statuses = async () => (await Promise.all(ids.map((id) => api.get(`${PLATFORM}/tenants/${id}`)))).map(({ body }) => body.status);

describe('one thing done to many tenants', () => {
  it('is looked at before it is done', async () => {
    const before = await statuses();
    const { status, body } = await api.post(BULK, { action: 'suspend', filter: { tag }, dryRun: true });
    expect([status, body.matched, body.sample.length, body.unknown]).toEqual([200, COUNT, COUNT, []]);
    expect(body.sample.map(({ id }: { id: string }) => id).sort()).toEqual(ids.toSorted());
    expect(await statuses()).toEqual(before);
    const other = await api.post(BULK, { action: 'suspend', filter: { tag }, expected: COUNT + 1 });
    expect([other.status, other.body.code, other.body.matched]).toEqual([409, 'bulk.count_differs', COUNT]);
  });

  it('is an operation with an outcome per tenant, in the name of who asked', async () => {
    const headers = { 'idempotency-key': unique('bulk') };
    const asked = { action: 'suspend', filter: { tag }, params: { reason: 'spring cleaning' }, expected: COUNT };
    const first = await api.post(BULK, asked, headers);
    expect([first.status, first.body.type, first.body.matched]).toEqual([202, 'bulk.suspend', COUNT]);
    expect(first.headers.get('location')).toBe(`${PLATFORM}/operations/${first.body.id}`);
    expect((await api.post(BULK, asked, headers)).body.id).toBe(first.body.id);
    const done = await ended(first.body.id);
    expect(done).toMatchObject({ status: 'succeeded', counts: { total: COUNT, succeeded: COUNT, failed: 0, pending: 0 } });
    expect(new Set(await statuses())).toEqual(new Set(['suspended']));
    const items = (await api.get(`${PLATFORM}/operations/${first.body.id}/items?status=succeeded&limit=4`)).body;
    expect([items.items.length, items.nextCursor === null]).toEqual([4, false]);
    const rest = (await api.get(`${PLATFORM}/operations/${first.body.id}/items?cursor=${items.nextCursor}`)).body;
    expect([...items.items, ...rest.items].map(({ tenantId }: { tenantId: string }) => tenantId).sort()).toEqual(ids.toSorted());
    const event = (await eventsOf(api, ids[0] as string)).find(({ type }) => type === 'TenantSuspended');
    expect(event.metadata).toMatchObject({ actor: { kind: 'staff' }, correlationId: first.body.id });
    expect((await ended((await api.post(BULK, { action: 'reactivate', tenantIds: ids })).body.id)).status).toBe('succeeded');
    expect((await statuses()).every((status) => status !== 'suspended')).toBe(true);
  });

  it('is found again in the list of operations, as it stands', async () => {
    const { body } = await api.post(BULK, { action: 'tags', filter: { tag }, params: { remove: ['none'] } });
    const { status, finishedAt } = await ended(body.id);
    await eventually(
      async () => {
        const { items } = (await api.get(`${PLATFORM}/operations?type=bulk.tags&status=${status}&limit=200`)).body;
        const found = items.find(({ id }: { id: string }) => id === body.id);
        return expect(found).toMatchObject({ type: 'bulk.tags', tenantId: null, status: 'succeeded', error: null, finishedAt });
      },
      { timeoutMs: 5_000, what: 'the operation to be in the list' },
    );
    const ofOne = (await api.get(`${PLATFORM}/operations?tenantId=${ids[0]}`)).body.items;
    expect(ofOne).toEqual([expect.objectContaining({ type: 'provisioning', tenantId: ids[0], status: 'succeeded' })]);
    for (const query of ['cursor=1', 'status=done', 'limit=201', 'tenantId=me'])
      expect([query, (await api.get(`${PLATFORM}/operations?${query}`)).body.errors?.[0]?.field]).toEqual([query, query.split('=')[0]]);
  });

  it('tells which tenants it failed for, and tries those again', async () => {
    const nobody = newId();
    const { body } = await api.post(BULK, { action: 'tags', tenantIds: [...ids, nobody], params: { add: ['touched'], remove: ['none'] } });
    const failed = await ended(body.id);
    expect(failed).toMatchObject({ status: 'failed', error: { code: 'operation.items_failed' }, counts: { succeeded: COUNT, failed: 1 } });
    const items = (await api.get(`${PLATFORM}/operations/${body.id}/items?status=failed`)).body.items;
    expect(items).toEqual([expect.objectContaining({ tenantId: nobody, status: 'failed', code: 'tenant.not_found', attempts: 1 })]);
    expect((await api.get(`${PLATFORM}/tenants/${ids[0]}`)).body.tags).toEqual([tag, 'touched']);
    expect((await api.post(`${PLATFORM}/operations/${body.id}/retry`)).status).toBe(202);
    expect((await ended(body.id)).counts).toMatchObject({ succeeded: COUNT, failed: 1 });
    expect((await eventsOf(api, ids[0] as string)).filter(({ type }) => type === 'TenantUpdated')).toHaveLength(1);
  });

  it('can be paused, resumed and cancelled, until it is over', async () => {
    const { body } = await api.post(BULK, { action: 'plan', filter: { tag }, params: { plan: 'business' }, concurrency: 1 });
    const paused = await api.post(`${PLATFORM}/operations/${body.id}/pause`, { reason: 'lunch' });
    expect([202, 409]).toContain(paused.status);
    if (paused.status === 202) expect((await api.post(`${PLATFORM}/operations/${body.id}/resume`)).status).toBe(202);
    expect((await ended(body.id)).status).toBe('succeeded');
    for (const [verb, code] of [
      ['pause', 'operation.not_pausable'],
      ['resume', 'operation.not_resumable'],
      ['cancel', 'operation.not_cancellable'],
      ['retry', 'operation.not_retriable'],
    ])
      expect((await api.post(`${PLATFORM}/operations/${body.id}/${verb}`)).body).toMatchObject({ status: 409, code });
    expect((await api.get(`${PLATFORM}/tenants/${ids[1]}`)).body.plan.id).toBe('business');
  });

  it('sets settings and features, and changes nothing that others have to approve', async () => {
    const params = { settings: { region_note: 'moved', timezone: 'Europe/Berlin' }, features: { beta: true } };
    const { body } = await api.post(BULK, { action: 'settings', filter: { tag }, params });
    expect((await ended(body.id)).counts).toMatchObject({ succeeded: COUNT, failed: 0 });
    const id = ids[4] as string;
    expect((await api.get(`${PLATFORM}/tenants/${id}/settings/region_note`)).body).toMatchObject({ value: 'moved', type: 'string' });
    expect((await api.get(`${PLATFORM}/tenants/${id}`)).body).toMatchObject({ timezone: 'Europe/Berlin' });
    const before = (await api.get(`${PLATFORM}/approval-policies`)).body.items;
    const policy = { keys: [`guarded_${tag.replaceAll('-', '_')}`] };
    expect((await api.put(`${PLATFORM}/approval-policies`, { items: [...before, policy] })).status).toBe(200);
    const held = await api.post(BULK, { action: 'settings', filter: { tag }, params: { settings: { [policy.keys[0] as string]: 1 } } });
    expect((await ended(held.body.id)).counts).toMatchObject({ succeeded: 0, failed: COUNT });
    const [item] = (await api.get(`${PLATFORM}/operations/${held.body.id}/items`)).body.items;
    expect(item.code).toBe('approval.needed');
    await agreeOn(api, before);
  });

  it('sets limits, and says before whose use is above them', async () => {
    const [first, second] = ids as [string, string];
    const used = await api.post(`${PLATFORM}/tenants/${first}/usage/increment`, { resource: 'users', amount: 2 });
    expect(used.status).toBe(200);
    const asked = { action: 'limits', tenantIds: ids, params: { limits: { users: 1, storage: '2 GB' } } };
    const looked = await api.post(BULK, { ...asked, dryRun: true });
    expect([looked.status, looked.body.matched, looked.body.overLimit.tenants]).toEqual([200, COUNT, 1]);
    expect(looked.body.overLimit.sample).toEqual([{ tenantId: first, resource: 'users', used: 2, limit: 1 }]);
    const { body } = await api.post(BULK, asked);
    expect(await ended(body.id)).toMatchObject({ status: 'succeeded', counts: { succeeded: COUNT } });
    const { items } = (await api.get(`${PLATFORM}/tenants/${second}/limits`)).body;
    expect(items.find(({ resource }: { resource: string }) => resource === 'storage')).toMatchObject({ limit: 2e9, source: 'override' });
    expect((await api.post(`${PLATFORM}/tenants/${first}/usage/increment`, { resource: 'users' })).status).toBe(429);
    const event = (await eventsOf(api, first)).find(({ type }) => type === 'LimitsChanged');
    expect(event.metadata).toMatchObject({ actor: { kind: 'staff' }, correlationId: body.id });

    const path = `${PLATFORM}/tenants/${first}/limits`;
    const preview = await api.post(`${path}/preview`, { limits: { users: 'plan', devices: 0 } });
    expect(preview.body.changes.map((change: any) => change.path)).toContain('quotas.users.source');
    const etag = (await api.get(path)).headers.get('etag') as string;
    const put = await api.put(path, { limits: { users: 'plan' } }, { 'if-match': etag });
    expect([put.status, put.body.items.find(({ resource }: any) => resource === 'users').source]).toEqual([200, 'plan']);
    expect((await api.put(path, { limits: { users: 9 } }, { 'if-match': etag })).status).toBe(412);
    expect((await api.put(path, { limits: { unicorns: 9 } })).body.errors[0].field).toBe('limits.unicorns');
  });

  it('migrates what the control plane has of those that have a place of their own', async () => {
    const { tenant } = await activeTenant(api, { name: unique('Migrated'), isolation: 'dedicated' });
    const { body } = await api.post(BULK, { action: 'migrate', tenantIds: [tenant.id, ids[0]] });
    expect(await ended(body.id)).toMatchObject({ status: 'succeeded', counts: { total: 2, succeeded: 1, failed: 0 } });
    const unknown = await api.post(BULK, { action: 'migrate', tenantIds: [tenant.id], params: { blueprint: 'nothing-like-it' } });
    expect([unknown.status, unknown.body.code]).toEqual([404, 'blueprint.not_found']);
  });

  it('moves tenants, each as an operation of its own', async () => {
    const [first, second] = ids as [string, string];
    const { body } = await api.post(BULK, { action: 'move', tenantIds: [first, second], params: { isolation: 'dedicated' } });
    expect(await ended(body.id, 90_000)).toMatchObject({ status: 'succeeded', counts: { succeeded: 2 } });
    for (const id of [first, second])
      expect((await api.get(`${PLATFORM}/tenants/${id}/placement`)).body).toMatchObject({ isolation: 'dedicated' });
    const again = await api.post(BULK, { action: 'move', tenantIds: [first], params: { isolation: 'dedicated' } });
    expect((await ended(again.body.id)).counts).toMatchObject({ skipped: 1, failed: 0 });
  });

  it('writes to the tenants, once each', async () => {
    const text = 'Hello <there>,\n\nwe have moved.';
    const { body } = await api.post(BULK, { action: 'notify', filter: { tag }, params: { subject: `About ${tag}`, text } });
    expect((await ended(body.id)).status).toBe('succeeded');
    const mails = await outbox('limit=1000');
    const sent = mails.filter(({ subject }) => subject === `About ${tag}`);
    expect(sent.map(({ tenantId }) => tenantId).sort()).toEqual(ids.toSorted());
    expect(sent[0]).toMatchObject({ kind: 'notice', text, html: '<p>Hello &lt;there&gt;,</p><p>we have moved.</p>' });
  });

  it('may be asked for several times at once, and steered by several people', async () => {
    const both = await Promise.all(['suspend', 'reactivate'].map((action) => api.post(BULK, { action, filter: { tag } })));
    for (const { body } of both) expect(await ended(body.id)).toMatchObject({ status: 'succeeded', counts: { succeeded: COUNT } });
    await ended((await api.post(BULK, { action: 'reactivate', filter: { tag } })).body.id);
    expect((await statuses()).every((status) => status === 'active' || status === 'trial')).toBe(true);
    const { body } = await api.post(BULK, { action: 'tags', filter: { tag }, params: { add: ['raced'] }, concurrency: 1 });
    const steered = ['pause', 'cancel', 'resume', 'cancel', 'pause'].map((verb) => api.post(`${PLATFORM}/operations/${body.id}/${verb}`));
    for (const { status } of await Promise.all(steered)) expect([202, 409]).toContain(status);
    const { status, counts } = await ended(body.id);
    expect(['cancelled', 'succeeded']).toContain(status);
    expect(counts.succeeded + counts.skipped).toBe(COUNT);
    await eventually(async () => expect((await api.get(`${PLATFORM}/tenants?tag=raced`)).body.items).toHaveLength(counts.succeeded), {
      ...{ timeoutMs: 5_000, what: 'the list to know the tags' },
    });
  });

  it('is refused where it makes no sense', async () => {
    const refused = async (body: unknown) => {
      const { status, body: problem } = await api.post(BULK, body);
      return [status, problem.errors?.map(({ field }: { field: string }) => field).join()];
    };
    expect(await refused({ action: 'suspend' })).toEqual([422, 'filter']);
    expect(await refused({ action: 'suspend', filter: {}, tenantIds: ids })).toEqual([422, 'filter']);
    expect(await refused({ action: 'explode', filter: { tag } })).toEqual([422, 'action']);
    expect(await refused({ action: 'plan', filter: { tag }, params: { plan: 'nonsense' } })).toEqual([422, 'params.plan']);
    expect(await refused({ action: 'plan', filter: { tag } })).toEqual([422, 'params']);
    expect(await refused({ action: 'plan', filter: { tag }, params: { plan: { id: 'free', trial: true } } })).toEqual([
      422,
      'params.plan.trial',
    ]);
    expect(await refused({ action: 'tags', filter: { tag }, params: {} })).toEqual([422, 'params']);
    expect(await refused({ action: 'settings', filter: { tag }, params: { settings: {} } })).toEqual([422, 'params']);
    expect(await refused({ action: 'notify', filter: { tag }, params: { subject: 'Soon', text: ' ' } })).toEqual([422, 'params.text']);
    expect((await refused({ action: 'suspend', tenantIds: ['nobody'] }))[0]).toBe(422);
    expect(await refused({ action: 'settings', filter: { tag }, params: { settings: { security_level: 'none' } } })).toEqual([
      422,
      'params.settings.security_level',
    ]);
    const weak = (await api.post(`${PLATFORM}/api-keys`, { name: 'weak', permissions: ['tenant:bulk'] })).body.key;
    expect((await api.as(weak).post(BULK, { action: 'suspend', filter: { tag } })).body.permission).toBe('tenant:suspend');
  });
});

describe('maintenance', () => {
  const inMinutes = (minutes: number) => new Date(Date.now() + minutes * 60_000).toISOString();
  const keyOf = async (id: string) => (await api.post(`${PLATFORM}/tenants/${id}/api-keys`, { name: 'own' })).body.key as string;

  it('holds the requests of its tenants at once, and of no others, until it is ended', async () => {
    const [held, free] = ids as [string, string];
    const [heldKey, freeKey] = await Promise.all([keyOf(held), keyOf(free)]);
    expect((await api.as(heldKey).get('/api/tenants/current')).status).toBe(200);
    const { status, body } = await api.post(WINDOWS, {
      scope: { tenantIds: [held] },
      endsAt: inMinutes(10),
      reason: 'a new disk',
      emergency: true,
    });
    expect([status, body.status, body.tenants, body.emergency]).toEqual([201, 'active', 1, true]);
    const refused = await eventually(
      async () => {
        const reply = await api.as(heldKey).get('/api/tenants/current');
        if (reply.status !== 503) throw new Error(`answered ${reply.status}`);
        return reply;
      },
      { timeoutMs: 1_000, intervalMs: 20, what: 'the tenant to be held' },
    );
    expect(refused.body).toMatchObject({ code: 'tenant.maintenance', endsAt: body.endsAt });
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(500);
    expect((await api.get(`/api/tenants/${held}/quotas`)).status).toBe(503);
    expect((await api.get(`${PLATFORM}/tenants/${held}`)).status).toBe(200);
    expect((await api.as(freeKey).get('/api/tenants/current')).status).toBe(200);
    const over = await api.post(`${WINDOWS}/${body.id}/end`, { reason: 'done early' });
    expect([over.status, over.body.status]).toEqual([200, 'ended']);
    await eventually(async () => expect((await api.as(heldKey).get('/api/tenants/current')).status).toBe(200), {
      timeoutMs: 1_000,
      what: 'the tenant to be served again',
    });
    expect((await api.post(`${WINDOWS}/${body.id}/end`)).body.status).toBe('ended');
    const mails = await eventually(
      async () => {
        const found = await outbox(`limit=50&tenantId=${held}`);
        if (!found.some(({ subject }: { subject: string }) => subject.startsWith('Emergency maintenance'))) throw new Error('no mail yet');
        return found;
      },
      { timeoutMs: 10_000, what: 'the notice' },
    );
    expect(mails.filter(({ subject }: { subject: string }) => subject.startsWith('Emergency maintenance'))).toHaveLength(1);
  });

  it('starts and ends by itself, and is announced before', async () => {
    const id = ids[2] as string;
    const key = await keyOf(id);
    const [startsAt, endsAt] = [new Date(Date.now() + 2_500).toISOString(), new Date(Date.now() + 5_500).toISOString()];
    const preview = await api.post(WINDOWS, { scope: { filter: { tag } }, startsAt, endsAt, reason: 'a test', dryRun: true });
    expect([preview.status, preview.body.matched]).toEqual([200, COUNT]);
    const { body } = await api.post(WINDOWS, { scope: { tenantIds: [id] }, startsAt, endsAt, reason: 'a new router' });
    expect(body.status).toBe('scheduled');
    expect((await api.as(key).get('/api/tenants/current')).status).toBe(200);
    const becomes = (wanted: number, timeoutMs: number) =>
      eventually(async () => expect((await api.as(key).get('/api/tenants/current')).status).toBe(wanted), {
        ...{ timeoutMs, intervalMs: 50, what: `an answer ${wanted}` },
      });
    await becomes(503, 6_000);
    expect(Date.now()).toBeGreaterThanOrEqual(Date.parse(startsAt));
    await becomes(200, 8_000);
    expect(Date.now()).toBeGreaterThanOrEqual(Date.parse(endsAt));
    await eventually(async () => expect((await api.get(`${WINDOWS}/${body.id}`)).body.status).toBe('ended'), {
      ...{ timeoutMs: 5_000, what: 'the window to be ended' },
    });
    await eventually(
      async () =>
        expect((await api.get(`${WINDOWS}?status=ended`)).body.items).toContainEqual((await api.get(`${WINDOWS}/${body.id}`)).body),
      { timeoutMs: 5_000, what: 'the list to know it' },
    );
    const mails = await outbox(`limit=50&tenantId=${id}`);
    expect(mails.find(({ subject }) => subject.startsWith('Maintenance from'))?.text).toContain('a new router');
  });

  it('can be called off, and is refused where it makes no sense', async () => {
    const scope = { tenantIds: [ids[3]] };
    const { body } = await api.post(WINDOWS, {
      scope,
      startsAt: inMinutes(30),
      endsAt: inMinutes(60),
      reason: 'perhaps',
      graceMinutes: 10,
    });
    expect(body.noticeAt).not.toBeNull();
    const key = await keyOf(ids[3] as string);
    const shown = { id: body.id, status: 'scheduled', starts_at: body.startsAt, ends_at: body.endsAt, reason: 'perhaps', emergency: false };
    await eventually(async () => expect((await api.as(key).get(`/api/tenants/${ids[3]}/maintenance`)).body).toEqual([shown]), {
      ...{ timeoutMs: 5_000, what: 'the tenant to see it' },
    });
    expect((await api.get(`${PLATFORM}/tenants/${ids[4]}/maintenance`)).body).toEqual({ items: [] });
    expect((await api.get(`${PLATFORM}/tenants/${newId()}/maintenance`)).status).toBe(404);
    expect((await api.post(`${WINDOWS}/${body.id}/end`)).body.status).toBe('cancelled');
    const field = async (change: object) =>
      (await api.post(WINDOWS, { scope, endsAt: inMinutes(60), reason: 'x', ...change })).body.errors?.[0]?.field;
    expect(await field({ endsAt: inMinutes(-1) })).toBe('endsAt');
    expect(await field({ emergency: true, startsAt: inMinutes(5) })).toBe('startsAt');
    expect(await field({ scope: { tenantIds: [newId()] } })).toBe('scope.tenantIds');
    expect(await field({ scope: {} })).toMatch(/^scope/);
    expect(await field({ scope: { filter: { tag: unique('nobody') } } })).toBe('scope.filter');
    expect((await api.get(`${WINDOWS}/${newId()}`)).body.code).toBe('maintenance.not_found');
  });
});
