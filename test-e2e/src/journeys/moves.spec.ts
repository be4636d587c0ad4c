import { eventually } from '@tenantry/testing/eventually';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Api } from '../harness/api.js';
import { notesOf, operationEnded, product, removeProduct, writer } from '../harness/move-load.js';
import { type RunFile, sharedSystem } from '../harness/system.js';
import { activeTenant, eventsOf, PLATFORM, unique } from '../harness/tenants.js';

let api: Api;
let run: RunFile;
beforeAll(async () => {
  ({ api, run } = await sharedSystem());
});
// Other specs look at the shared schema too.
afterAll(() => run && removeProduct(run));
const create = async (isolation: string) => (await activeTenant(api, { name: unique('Mover'), plan: 'enterprise', isolation })).tenant;
const move = async (tenantId: string, body: Record<string, unknown>) => {
  const answer = await api.post(`${PLATFORM}/tenants/${tenantId}/moves`, body);
  expect(answer.status, answer.text).toBe(202);
  return answer.body;
};
const placement = async (tenantId: string) => (await api.get(`${PLATFORM}/tenants/${tenantId}/placement`)).body;

describe('moves', () => {
  it('take a tenant to every level while it is in use: nothing lost, nothing doubled, nobody refused', async () => {
    const tenant = await create('dedicated');
    await api.put(`${PLATFORM}/tenants/${tenant.id}/settings/motto`, { value: 'stay' });
    const { key } = (await api.post(`${PLATFORM}/tenants/${tenant.id}/api-keys`, { name: 'writer' })).body;
    const database = await product(run, tenant.id);
    const work = writer(database, () => run.gatewayUrl, key, tenant.id, 60);
    for (const isolation of ['isolated', 'shared', 'dedicated']) {
      const operation = await move(tenant.id, { isolation });
      const ended = await operationEnded(api, operation.id);
      expect(ended, JSON.stringify(ended)).toMatchObject({ type: 'move', tenantId: tenant.id, status: 'succeeded' });
      expect(ended.steps.map(({ name, status }: any) => `${name} ${status}`)).toEqual(
        ['prepare', 'copy', 'catch-up', 'fence', 'verify', 'switch', 'retire'].map((name) => `${name} succeeded`),
      );
      expect(await placement(tenant.id)).toMatchObject({ isolation });
      expect((await api.get(`${PLATFORM}/tenants/${tenant.id}`)).body.isolation).toBe(isolation);
      expect((await api.get(`${PLATFORM}/tenants/${tenant.id}/settings/motto`)).body.value).toBe('stay');
    }
    await work.stop();
    const { done } = work;
    console.info(`${done.writes} writes, the longest took ${Math.round(done.longestMs)} ms`);
    expect(done.errors).toEqual([]);
    expect(await notesOf(database, tenant.id)).toEqual(done.notes);
    await database.close();
    // What is projected goes on at the new place.
    await eventually(async () => {
      const { body } = await api.get(`${PLATFORM}/consumers?tenantId=${tenant.id}`);
      return body.items.every(({ position, head, state }: any) => position === head && state === 'running');
    });
    const events = await eventsOf(api, tenant.id);
    const switches = events.filter(({ type, data }) => type === 'OperationStepCompleted' && data.step === 'switch');
    expect(switches).toHaveLength(3);
    for (const { data } of switches) expect(data.result.closedMs).toBeLessThan(500);
    const moves = events.filter(({ type }) => type === 'TenantMoved');
    expect(moves.map(({ data }) => `${data.before.isolation} ${data.isolation} ${data.generation}`)).toEqual([
      'dedicated isolated 2',
      'isolated shared 3',
      'shared dedicated 4',
    ]);
  });

  it('are rolled back with what was written meanwhile, cancelled, and refused where one is going on or leads nowhere', async () => {
    const tenant = await create('dedicated');
    const database = await product(run, tenant.id);
    await database.withTenant(tenant.id, ({ client }) => client.query(`INSERT INTO notes (id, text) VALUES (1, 'before')`));
    expect((await api.post(`${PLATFORM}/tenants/${tenant.id}/moves`, { isolation: 'dedicated' })).status).toBe(422);
    const kept = await move(tenant.id, { isolation: 'isolated', keepSourceMinutes: 60 });
    const refused = await api.post(`${PLATFORM}/tenants/${tenant.id}/moves`, { isolation: 'shared' });
    expect([refused.status, refused.body.code]).toEqual([409, 'placement.move_running']);
    await eventually(async () => (await api.get(`${PLATFORM}/operations/${kept.id}`)).body.steps[5].status === 'succeeded', {
      timeoutMs: 30_000,
    });
    await database.withTenant(tenant.id, ({ client }) => client.query(`INSERT INTO notes (id, text) VALUES (2, 'meanwhile')`));
    expect((await api.post(`${PLATFORM}/operations/${kept.id}/cancel`)).body.code).toBe('operation.not_cancellable');
    expect((await api.post(`${PLATFORM}/operations/${kept.id}/rollback`, { reason: 'slow there' })).status).toBe(202);
    expect(await operationEnded(api, kept.id)).toMatchObject({ status: 'compensated', error: { detail: 'slow there' } });
    expect(await placement(tenant.id)).toMatchObject({ isolation: 'dedicated', generation: 3 });
    expect(await notesOf(database, tenant.id)).toEqual(
      new Map([
        [1, 1],
        [2, 1],
      ]),
    );
    expect((await api.post(`${PLATFORM}/operations/${kept.id}/rollback`)).status).toBe(202);
    // Tried again, the same move goes from where the tenant is now.
    expect((await api.post(`${PLATFORM}/operations/${kept.id}/retry`)).status).toBe(202);
    await eventually(async () => (await placement(tenant.id)).isolation === 'isolated', { timeoutMs: 30_000 });
    expect(await notesOf(database, tenant.id)).toEqual(
      new Map([
        [1, 1],
        [2, 1],
      ]),
    );
    await database.close();
  });

  it('are refused for tenants that are not in use, with a reason', async () => {
    const review = (await api.post(`${PLATFORM}/tenants`, { name: unique('Review'), activation: 'review' })).body;
    const answer = await api.post(`${PLATFORM}/tenants/${review.id}/moves`, { isolation: 'shared' });
    expect([answer.status, answer.body.code]).toEqual([409, 'tenant.not_ready']);
    expect((await api.post(`${PLATFORM}/tenants/${review.id}/moves`, { isolation: 'elsewhere' })).status).toBe(422);
  });

  it('are done for many tenants as one operation', async () => {
    const tenants = await Promise.all([create('shared'), create('shared'), create('dedicated')]);
    const started = await api.post(`${PLATFORM}/bulk-operations`, {
      action: 'move',
      tenantIds: tenants.map(({ id }) => id),
      params: { isolation: 'dedicated' },
    });
    expect(started.status, started.text).toBe(202);
    expect(await operationEnded(api, started.body.id)).toMatchObject({
      status: 'succeeded',
      counts: { total: 3, succeeded: 2, failed: 0 },
    });
    for (const { id } of tenants) expect(await placement(id)).toMatchObject({ isolation: 'dedicated' });
  });
});
