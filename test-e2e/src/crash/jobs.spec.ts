import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { eventually } from '@tenantry/testing/eventually';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type System, startSystem } from '../harness/system.js';
import { activeTenant, eventsOf, PLATFORM, settled } from '../harness/tenants.js';

const COUNT = 12;
let system: System;
let ids: string[];
beforeAll(async () => {
  system = await startSystem({
    TENANTRY_REPLICAS: 'provisioning=2',
    TENANTRY_FAULT: ['item.done', 'item.recorded'].map((point) => `provisioning:${point}:kill`).join(),
  });
  const made = await Promise.all(
    Array.from({ length: COUNT }, (_, index) => activeTenant(system.api, { name: `Of many ${index}`, isolation: 'shared' })),
  );
  ids = made.map(({ tenant }) => tenant.id);
});
afterAll(async () => {
  expect(await system?.stop()).toBe(0);
});

describe('work over many tenants whose process is killed, twice', () => {
  it('is done by whoever is there: every tenant once', async () => {
    const { api } = system;
    const asked = { action: 'tags', tenantIds: ids, params: { add: ['touched'] }, concurrency: 2 };
    const headers = { 'idempotency-key': 'touch-them-all' };
    const { body } = await eventually(
      async () => {
        const reply = await api.post(`${PLATFORM}/bulk-operations`, asked, headers);
        if (reply.status !== 202) throw new Error(`answered ${reply.status}: ${reply.text}`);
        return reply;
      },
      { timeoutMs: 30_000, what: 'the job to be accepted' },
    );
    const ended = await eventually(
      async () => {
        const reply = await api.get(`${PLATFORM}/operations/${body.id}`);
        if (reply.status !== 200 || reply.body.finishedAt === null) throw new Error(`${reply.status} ${reply.body?.status}`);
        return reply.body;
      },
      { timeoutMs: 90_000, intervalMs: 200, what: 'the job to end' },
    );
    expect(ended).toMatchObject({ status: 'succeeded', counts: { total: COUNT, succeeded: COUNT, failed: 0, pending: 0 } });
    expect((await readdir(join(system.dataDir, 'faults'))).toSorted()).toEqual([
      'provisioning.item.done.kill',
      'provisioning.item.recorded.kill',
    ]);
    const logs = await Promise.all(ids.map((id) => eventsOf(api, id)));
    for (const log of logs) expect(log.filter(({ type }) => type === 'TenantUpdated')).toHaveLength(1);
    const { items } = (await api.get(`${PLATFORM}/operations/${body.id}/items`)).body;
    expect(items.map(({ tenantId }: { tenantId: string }) => tenantId)).toEqual(ids);
  });
});

describe('maintenance of all', () => {
  it('holds every tenant, and who is created meanwhile is provisioned when it is over', async () => {
    const { api } = system;
    const windows = `${PLATFORM}/maintenance-windows`;
    const { key } = (await api.post(`${PLATFORM}/tenants/${ids[0]}/api-keys`, { name: 'own' })).body;
    const asked = { scope: { all: true }, endsAt: new Date(Date.now() + 300_000).toISOString(), reason: 'a new roof', emergency: true };
    const { status, body } = await api.post(windows, asked);
    expect([status, body.status, body.scope, body.tenants]).toEqual([201, 'active', 'all', null]);
    await eventually(async () => expect((await api.as(key).get('/api/tenants/current')).body.code).toBe('tenant.maintenance'), {
      ...{ timeoutMs: 1_000, intervalMs: 20, what: 'the tenants to be held' },
    });
    const created = await api.post(`${PLATFORM}/tenants`, { name: 'Born meanwhile', isolation: 'shared' });
    expect(created.status).toBe(202);
    expect((await api.post(`${windows}/${body.id}/end`)).body.status).toBe('ended');
    await eventually(async () => expect((await api.as(key).get('/api/tenants/current')).status).toBe(200), {
      ...{ timeoutMs: 1_000, intervalMs: 20, what: 'the tenants to be served again' },
    });
    expect((await settled(api, created.body.id, 90_000)).status).toBe('active');
  });
});
