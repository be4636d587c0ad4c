import { ManualClock } from '@tenantry/contracts/clock';
import { newId } from '@tenantry/contracts/ids';
import { MemoryKeyring } from '@tenantry/crypto/memory-keyring';
import { MemoryEventStore } from '@tenantry/event-store/adapters/memory/memory-event-store';
import { DefaultTenantLog } from '@tenantry/event-store/tenant-log-default';
import { expect, it } from 'vitest';
import { approval, request } from './approval.js';
import { ApprovalExpiry, AwaitApproval } from './approval-expiry.js';

it('expires when its time comes, also where the list does not show it yet', async () => {
  const [log, clock] = [new DefaultTenantLog(new MemoryEventStore(), new MemoryKeyring()), new ManualClock()];
  const [tenant, approvalId] = [newId(), newId()];
  const expiresAt = new Date(clock.nowMs() + 60_000).toISOString();
  const asked = {
    approvalId,
    command: 'suspend',
    change: null,
    body: '{}',
    ifMatch: null,
    approvers: 1,
    expiresAt,
    requestedAt: clock.now(),
  };
  const at = { tenant, stream: `approval-${approvalId}` };
  await log.transact(approval, { ...at, command: { id: newId(), actor: { kind: 'service', id: 'test' } } }, request(asked));
  const set: { due: string; payload: never }[] = [];
  const timers = { schedule: async (_tenant: string, _purpose: string, due: string, payload: never) => set.push({ due, payload }) };
  await new AwaitApproval(timers as never, clock).run({ tenantId: tenant, payload: { approvalId, expiresAt } } as never);
  const empty = { pool: { query: async () => ({ rows: [] }) } };
  const expiry = new ApprovalExpiry(log, empty as never, clock);
  const fire = () => expiry.fire({ tenantId: tenant, payload: set[0]?.payload } as never);
  await fire();
  expect((await log.load(approval, at)).state.status).toBe('pending');
  clock.advance(60_000);
  await fire();
  await fire();
  const { state, events } = await log.load(approval, at);
  expect([set[0]?.due, state.status, events.length]).toEqual([expiresAt, 'expired', 2]);
});
