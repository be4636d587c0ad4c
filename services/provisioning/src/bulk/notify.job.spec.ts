import { expect, it } from 'vitest';
import { Notify } from './notify.job.js';

/** How a notice to such a tenant ends, and whether a mail was asked for. */
async function notified(state: object) {
  const sent: unknown[] = [];
  const log = { load: async () => ({ state: { adminEmail: { enc: 'a' }, deletion: null, ...state } }) };
  const notify = new Notify(log as never, { call: async (_of: unknown, input: unknown) => sent.push(input) } as never);
  const outcome = await notify.run({ tenantId: 't-1', ordinal: 0, retries: 0 } as never, { params: {}, operationId: 'op-1' } as never);
  return [outcome.status, sent.length];
}

it('writes to tenants, but to none that is being erased', async () => {
  expect(await notified({ status: 'active' })).toEqual(['succeeded', 1]);
  expect(await notified({ status: 'deleting', deletion: { erasing: false } })).toEqual(['succeeded', 1]);
  expect(await notified({ status: 'deleting', deletion: { erasing: true } })).toEqual(['skipped', 0]);
  expect(await notified({ status: 'deleted', deletion: { erasing: true } })).toEqual(['skipped', 0]);
});
