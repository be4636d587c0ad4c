import { ManualClock } from '@tenantry/contracts/clock';
import { newId } from '@tenantry/contracts/ids';
import { type StoreCalls, storeCallsOf } from '@tenantry/contracts/stores/operations';
import { MemoryKeyring } from '@tenantry/crypto/memory-keyring';
import { MemoryEventStore } from '@tenantry/event-store/adapters/memory/memory-event-store';
import { DefaultTenantLog } from '@tenantry/event-store/tenant-log-default';
import { placementFor } from '@tenantry/tenancy/names';
import { describe, expect, it } from 'vitest';
import type { OperationContext } from '../operation/operation-type.js';
import { end, start, stepped } from '../operation/stepped.js';
import { arrive, type Moving, place, placement, startMove, unplace } from '../placement/placement.js';
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

describe('a tenant whose move has not come to its end', () => {
  async function moving() {
    const tenantId = newId();
    const log = new DefaultTenantLog(new MemoryEventStore(), new MemoryKeyring());
    const command = () => ({ id: newId(), actor: { kind: 'service' as const, id: 'test' } });
    const at = (isolation: 'dedicated' | 'isolated') => {
      const { tenantId: _t, ready: _r, generation: _g, ...where } = placementFor(tenantId, isolation);
      return where;
    };
    await log.transact(placement, { tenant: tenantId, command: command() }, place(at('dedicated')));
    const { workerGroup: _, ...target } = at('isolated');
    const { state } = await log.transact(placement, { tenant: tenantId, command: command() }, startMove('move-1', target, 0));
    const { moving: move } = state as { moving: Moving };
    const operation = { tenant: tenantId, stream: 'operation-move-1' };
    const data = { operationId: 'move-1', type: 'move' as const, steps: ['prepare'], input: {}, startedAt: 'now' };
    await log.transact(stepped, { ...operation, command: command() }, start(data));
    const types = { add: () => undefined };
    const none = {} as never;
    const erasure = new EraseTenant(log, none, none, none, new ManualClock(), none, types as never);
    const [first] = erasure.steps;
    return {
      waits: () => first?.waitMs?.({ tenantId } as OperationContext),
      ends: (status: 'failed' | 'compensated') =>
        log.transact(
          stepped,
          { ...operation, command: command() },
          end({ operationId: 'move-1', type: 'move', status, error: null, endedAt: 'now' }),
        ),
      switches: () => log.transact(placement, { tenant: tenantId, command: command() }, arrive(move.to)),
      unplaces: async () => (await log.transact(placement, { tenant: tenantId, command: command() }, unplace)).state,
      generation: move.from.generation,
    };
  }

  it('is waited for while somebody is at work there, and no longer', async () => {
    const { waits, ends } = await moving();
    expect(await waits()).toBeGreaterThan(0);
    await ends('failed');
    expect(await waits()).toBe(0);
  });

  it('is not waited for once it has had its effect', async () => {
    const { waits, switches } = await moving();
    await switches();
    expect(await waits()).toBe(0);
  });

  it('is nowhere afterwards, whichever place it has come to without anybody saying so', async () => {
    const { unplaces, generation } = await moving();
    expect(await unplaces()).toEqual({ placed: false, generation: generation + 2 });
  });
});
