import { ManualClock } from '@tenantry/contracts/clock';
import type { CommandContext } from '@tenantry/contracts/route';
import { describe, expect, it } from 'vitest';
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
