import type { CommandContext } from '@tenantry/contracts/route';
import { describe, expect, it } from 'vitest';
import { StartBulkOperationRpc } from './start-bulk-operation.rpc.js';

/** What a request is answered where its filter finds two tenants now. */
async function answer(body: object, hasBegun: boolean) {
  const started: unknown[] = [];
  const selection = { matching: async () => ({ tenantIds: ['t-1', 't-2'], unknown: [] }) };
  const jobs = { has: async () => hasBegun, start: async (job: unknown) => started.push(job) && 'op-1' };
  const operations = { accepted: async () => ({ status: 202, body: { counts: { total: 3 } }, location: '/op-1' }) };
  const rpc = new StartBulkOperationRpc(selection as never, {} as never, {} as never, jobs as never, operations as never);
  const command = { id: 'c-1', principal: { kind: 'api-key', id: 'key-1', permissions: ['*'] } } as unknown as CommandContext;
  const given = await rpc.handle({ body: { filter: { status: 'active' }, ...body }, command } as never);
  return { ...given, started };
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
});
