import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { eventually } from '@tenantry/testing/eventually';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type System, startSystem } from '../harness/system.js';
import { activeTenant, eventsOf, PLATFORM } from '../harness/tenants.js';

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
