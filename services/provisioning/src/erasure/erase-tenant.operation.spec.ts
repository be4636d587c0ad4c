import { ManualClock } from '@tenantry/contracts/clock';
import { newId } from '@tenantry/contracts/ids';
import { type StoreCalls, storeCallsOf } from '@tenantry/contracts/stores/operations';
import { describe, expect, it } from 'vitest';
import type { OperationContext } from '../operation/operation-type.js';
import { isRefusal, retryAfterMs } from '../saga/backoff.js';
import { EraseTenant } from './erase-tenant.operation.js';

const LATE = 'quota_metering.usage_log';

/** A tenant of which `left` rows are in one store. */
function given(left: number) {
  const erased: string[] = [];
  const rows = new Map([[LATE, left]]);
  const rpc = {
    call: async (of: StoreCalls[keyof StoreCalls], { stores = [] }: { stores?: string[] }) => {
      if (of.name !== storeCallsOf('billing').erase.name)
        return { found: stores.map((name) => ({ name, found: rows.get(name) ?? 0, kept: 0, query: `of ${name}` })) };
      erased.push(...stores);
      for (const name of stores) rows.delete(name);
      return {};
    },
  };
  // Marked as erased, and nobody writes.
  const database = { pool: { query: async () => ({ rows: [] }) } };
  const types = { add: () => undefined };
  const erasure = new EraseTenant(
    {} as never,
    rpc as never,
    {} as never,
    {} as never,
    new ManualClock(),
    database as never,
    types as never,
  );
  const check = erasure.steps.find(({ name }) => name === 'check');
  return { erased, check: () => check?.run({ tenantId: newId() } as OperationContext) };
}

describe('the search for what an erasure has left', () => {
  it('erases what came in late, and is tried again instead of having failed for good', async () => {
    const { erased, check } = given(3);
    const error = await check()?.catch((thrown: unknown) => thrown);
    expect(erased).toEqual([LATE]);
    expect(error).toMatchObject({ code: 'erasure.incomplete', detail: expect.stringContaining(LATE) });
    expect(isRefusal(error)).toBe(false);
    expect(retryAfterMs(error, 10, 0)).toBeGreaterThan(0);
    expect(await check()).toMatchObject({ stores: expect.arrayContaining([expect.objectContaining({ name: LATE, found: 0 })]) });
  });
});
