import { ManualClock } from '@tenantry/contracts/clock';
import { newId } from '@tenantry/contracts/ids';
import type { CommandContext } from '@tenantry/contracts/route';
import { MemoryKeyring } from '@tenantry/crypto/memory-keyring';
import { MemoryEventStore } from '@tenantry/event-store/adapters/memory/memory-event-store';
import { DefaultTenantLog } from '@tenantry/event-store/tenant-log-default';
import { describe, expect, it } from 'vitest';
import { OperationTypes } from '../operation/operation-types.js';
import { commit, end, failStep, start, stepped } from '../operation/stepped.js';
import { DELETION, DeletionOperations } from './deletion-operations.js';

/** @returns how often something was decided on the tenant */
async function cancelled(demand: { approvers: number } | null): Promise<number> {
  let decided = 0;
  const log = { transact: async () => decided++ };
  const holding = { demand: async () => demand };
  const kinds = { add: () => undefined };
  const deletions = new DeletionOperations(log as never, {} as never, new ManualClock(), holding as never, kinds as never);
  const command = { id: 'c-1', principal: { kind: 'api-key', id: 'key-1', permissions: ['tenant:delete'] } } as unknown as CommandContext;
  await deletions.cancel({ id: 'op-1', tenantId: 't-1', type: DELETION }, undefined, command);
  return decided;
}

describe('the operation of a deletion', () => {
  it('is cancelled by whoever may undelete the tenant', async () => expect(await cancelled(null)).toBe(1));
  it('is not cancelled around the people who have to approve that', () =>
    expect(cancelled({ approvers: 1 })).rejects.toMatchObject({
      code: 'approval.needed',
      detail: expect.stringContaining('/undelete'),
    }));
});

describe('an erasure that failed for good after it had destroyed the keys', () => {
  it('goes on when somebody asks for it, and says nothing personal of him', async () => {
    const [tenantId, operationId, clock, keyring] = [newId(), newId(), new ManualClock(), new MemoryKeyring()];
    const log = new DefaultTenantLog(new MemoryEventStore(), keyring);
    const at = { tenant: tenantId, stream: `operation-${operationId}` };
    const now = clock.now();
    const failure = { code: 'erasure.incomplete', detail: 'A service was away' };
    const progress = { operationId, step: 'check', attempt: 1, startedAt: now, durationMs: 1, error: failure, retryAt: null };
    for (const [index, decide] of [
      start({ operationId, type: 'erasure', steps: ['keys', 'check'], input: {}, startedAt: now }),
      commit({ operationId, step: 'keys', committedAt: now }),
      failStep(progress),
      end({ operationId, type: 'erasure', status: 'failed', error: failure, endedAt: now }),
    ].entries())
      await log.transact(stepped, { ...at, command: { id: newId(), actor: { kind: 'service', id: `${index}` } } }, decide);
    keyring.destroy(tenantId);

    const kinds = { add: () => undefined };
    const types = new OperationTypes(log, {} as never, keyring, clock, kinds as never);
    const deletions = new DeletionOperations(log, types, clock, {} as never, kinds as never);
    const principal = { kind: 'staff' as const, id: newId(), permissions: ['*'] };
    const command: CommandContext = { id: newId(), requestHash: 'h', principal, ip: '203.0.113.9', userAgent: 'curl' };
    for (let times = 0; times < 2; times++)
      expect(await deletions.retry({ id: operationId, tenantId, type: DELETION }, 'it is back', command)).toBe(operationId);

    const { state, events } = await log.load(stepped, at);
    expect([state.round, state.ended]).toEqual([1, null]);
    expect(events.at(-1)).toMatchObject({ type: 'OperationRetried', metadata: { actor: { kind: 'staff', id: principal.id } } });
    expect(JSON.stringify(events.at(-1))).not.toMatch(/203\.0|curl|it is back/);
  });
});
