import type { DiscoveryService } from '@nestjs/core';
import { ManualClock } from '@tenantry/contracts/clock';
import { newId, PLATFORM_LOG } from '@tenantry/contracts/ids';
import type { ApprovalPolicy } from '@tenantry/contracts/platform/events';
import type { CommandContext } from '@tenantry/contracts/route';
import { MemoryKeyring } from '@tenantry/crypto/memory-keyring';
import { MemoryEventStore } from '@tenantry/event-store/adapters/memory/memory-event-store';
import { DefaultTenantLog } from '@tenantry/event-store/tenant-log-default';
import type { RpcClient } from '@tenantry/messaging/rpc';
import { silentLogger } from '@tenantry/observability/logger';
import { expect, it } from 'vitest';
import { ChangeLimits } from '../bulk/limits.job.js';
import type { ConfigChanges } from '../config/config-changes.js';
import { Sensitive } from '../history/sensitive.js';
import type { JobItem } from '../job/job-handler.js';
import type { ApprovalIndex } from './approval-index.js';
import { ApprovedChanges } from './approved-changes.js';
import { ApprovedLimits } from './approved-limits.js';
import { DecideApprovalRpc } from './decide-approval.rpc.js';
import { HoldCommandRpc } from './hold-command.rpc.js';
import { Holding } from './holding.js';
import { Policies, policies, setPolicies } from './policies.js';

const limits = { users: 9 };
const request = (id: string, ifMatch?: number): CommandContext => ({
  ...{ id: newId(), requestHash: '0'.repeat(64), principal: { kind: 'staff', id, permissions: ['*'] } },
  ...(ifMatch !== undefined && { ifMatch }),
});

/** What holds limits in provisioning; `asked` has what their owner was asked for. */
async function given(...items: ApprovalPolicy[]) {
  const [clock, keyring] = [new ManualClock(), new MemoryKeyring()];
  const log = new DefaultTenantLog(new MemoryEventStore(), keyring);
  const asked: any[] = [];
  const rpc = { call: async ({ name }: { name: string }, input: object) => asked.push({ name, ...input }) } as unknown as RpcClient;
  const tenants = new Map<string, string>();
  const index = { add: async (id: string, of: string) => void tenants.set(id, of), tenantOf: async (id: string) => tenants.get(id) };
  const holding = new Holding(log, new Policies(log), index as unknown as ApprovalIndex, clock);
  const discovery = { getProviders: () => [{ instance: new ApprovedLimits(rpc) }] } as unknown as DiscoveryService;
  const approved = new ApprovedChanges(log, {} as ConfigChanges, keyring, clock, discovery);
  approved.onApplicationBootstrap();
  const ofIndex = index as unknown as ApprovalIndex;
  const decisions = new DecideApprovalRpc(log, ofIndex, approved, new Sensitive(log), keyring, clock, silentLogger);
  const command = { id: newId(), actor: { kind: 'service' as const, id: 'test' } };
  await log.transact(policies, { tenant: PLATFORM_LOG, command }, setPolicies(items));
  const tenantId = newId();
  const rpcOf = new HoldCommandRpc(holding);
  const hold = async (by = request('ada')) =>
    (await rpcOf.hold({ tenantId, command: 'limits', body: { limits }, version: 4, request: by })).held;
  const approve = async (approvalId: string, by: string) =>
    (await decisions.approve({ params: { approvalId }, body: {}, command: request(by) } as never)).body;
  const job = { operationId: newId(), params: limits, actor: { kind: 'staff' as const, id: 'ada' }, causationId: newId() };
  const item = { ordinal: 0, tenantId, target: null, wave: 0, retries: 0, attempt: 1 } satisfies JobItem;
  const inBulk = () => new ChangeLimits(rpc, holding).run(item, job);
  return { tenantId, asked, hold, approve, inBulk, impacts: async () => (await rpcOf.impacts({ command: 'limits' })).impacts };
}
const policy = (command: 'limits' | 'plan' | 'update'): ApprovalPolicy => ({ commands: [command], approvers: 1, expiresHours: 24 });

it.each(['limits', 'plan'] as const)(
  'wait for others where a policy speaks of %s, and are set once those have approved them',
  async (of) => {
    const { tenantId, asked, hold, approve, inBulk, impacts } = await given(policy(of));
    expect(await impacts()).toMatchObject([{ kind: 'approval' }]);
    const held = await hold(request('ada', 4));
    expect(held).toMatchObject({ status: 202, body: { approval: { status: 'pending' } } });
    const approvalId = held?.body.approval.id as string;
    await expect(approve(approvalId, 'ada')).rejects.toMatchObject({ code: 'approval.same_person' });
    expect(asked).toEqual([]);
    expect(await approve(approvalId, 'bob')).toMatchObject({ status: 'applied', command: 'limits', request: { limits } });
    const command = { id: expect.any(String), ifMatch: 4, correlationId: approvalId, actor: { kind: 'staff', id: 'ada' } };
    expect(asked).toEqual([{ name: 'limits.override', tenantId, limits, command }]);
    await expect(hold(request('ada', 3))).rejects.toMatchObject({ code: 'precondition.failed' });
    await inBulk();
    expect(asked[1]).toMatchObject({ tenantId, limits, unapproved: true });
  },
);

it('wait for nobody where no policy speaks of them', async () => {
  const { asked, hold, inBulk, impacts } = await given(policy('update'));
  expect([await hold(), await impacts()]).toEqual([null, []]);
  await inBulk();
  expect(asked).toMatchObject([{ limits, unapproved: false }]);
});
