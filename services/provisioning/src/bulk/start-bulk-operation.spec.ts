import type { CommandContext } from '@tenantry/contracts/route';
import { describe, expect, it } from 'vitest';
import { StartBulkOperationRpc } from './start-bulk-operation.rpc.js';

/** What a request is answered where its filter finds two tenants now, or others. */
async function answer(body: object, hasBegun: boolean, tenantIds = ['t-1', 't-2']) {
  const started: unknown[] = [];
  const selection = { matching: async () => ({ tenantIds, unknown: [] }), sample: async () => [] };
  const jobs = { has: async () => hasBegun, start: async (job: unknown) => started.push(job) && 'op-1' };
  const operations = { accepted: async () => ({ status: 202, body: { counts: { total: 3 } }, location: '/op-1' }) };
  const blueprints = {
    find: async (name: string) => ({ name, status: name === 'old' ? 'retired' : 'active', latestVersion: name === 'empty' ? null : 4 }),
    findVersion: async () => ({}),
  };
  const noted: string[] = [];
  const campaigns = { running: async (name: string) => (name === 'busy' ? 'op-2' : null), note: async (name: string) => noted.push(name) };
  const line = { tenantId: 't-1', resource: 'users', used: 5, limit: 3 };
  const over = async (_operation: unknown, asked: { tenantIds: string[] }) => {
    if (asked.tenantIds.length > 10_000) throw new Error('more than the operation takes');
    return { tenants: tenantIds.length > 2 ? 4 : 1, sample: [line, line, line, line] };
  };
  const rpc = new StartBulkOperationRpc(
    ...([selection, {}, {}, jobs, operations, blueprints, campaigns, { call: over }] as unknown as ConstructorParameters<
      typeof StartBulkOperationRpc
    >),
  );
  const command = { id: 'c-1', principal: { kind: 'api-key', id: 'key-1', permissions: ['*'] } } as unknown as CommandContext;
  const given = await rpc.handle({ body: { filter: { status: 'active' }, ...body }, command } as never);
  return { ...given, started, noted };
}

describe('work over many tenants', () => {
  const suspend = { action: 'suspend', expected: 3 };
  it('is not begun where it would be another number than expected', () =>
    expect(answer(suspend, false)).rejects.toMatchObject({ code: 'bulk.count_differs', extensions: { matched: 2 } }));
  it('is found again by a repeat, although it has itself changed how many match', async () =>
    expect(await answer(suspend, true)).toMatchObject({ status: 202, body: { matched: 3 } }));
  it('is found again too where its canary doesn’t match any more', async () => {
    const settings = { action: 'settings', params: { settings: { a: 1 }, canary: ['t-3'] } };
    await expect(answer(settings, false)).rejects.toMatchObject({ code: 'request.invalid' });
    expect(await answer(settings, true)).toMatchObject({ status: 202 });
  });
  it('with limits says before it begins who is over them, and takes them in units', async () => {
    const limits = { action: 'limits', params: { limits: { users: 3, storage: '2 GB', devices: 'plan' } } };
    expect(await answer({ ...limits, dryRun: true }, false)).toMatchObject({
      status: 200,
      body: { matched: 2, overLimit: { tenants: 1 } },
    });
    const ids = Array.from({ length: 20_001 }, (_, n) => `t-${n}`);
    const { overLimit } = (await answer({ ...limits, dryRun: true }, false, ids)).body as { overLimit?: { sample: object[] } };
    expect(overLimit).toMatchObject({ tenants: 20 });
    expect(overLimit?.sample).toHaveLength(10);
    const { started } = await answer(limits, false);
    expect(started).toMatchObject([{ type: 'bulk.limits', params: { users: 3, storage: 2_000_000_000, devices: 'plan' } }]);
    const unknown = { action: 'limits', params: { limits: { unicorns: 'plan' } } };
    await expect(answer(unknown, false)).rejects.toMatchObject({ errors: [{ field: 'params.limits.unicorns', rule: 'known_resource' }] });
  });
  it('migrates to the last version of a blueprint, while no campaign of it is at work', async () => {
    const migrate = (params: object) => answer({ action: 'migrate', params }, false);
    expect((await migrate({ blueprint: 'crm' })).started).toMatchObject([
      { type: 'bulk.migrate', concurrency: 2, params: { blueprint: 'crm', toVersion: 4, lockTimeoutMs: 1_500 } },
    ]);
    expect((await migrate({ blueprint: 'crm', toVersion: 2 })).noted).toEqual(['crm']);
    expect((await answer({ action: 'migrate' }, false)).started).toMatchObject([{ type: 'bulk.migrate', params: null }]);
    await expect(migrate({ blueprint: 'busy' })).rejects.toMatchObject({ code: 'blueprint.campaign_running' });
    await expect(migrate({ blueprint: 'old' })).rejects.toMatchObject({ errors: [{ field: 'params.blueprint' }] });
    await expect(migrate({ blueprint: 'empty' })).rejects.toMatchObject({ code: 'blueprint.version_not_found' });
    await expect(migrate({ toVersion: 3 })).rejects.toMatchObject({ errors: [{ field: 'params.blueprint' }] });
  });
});
