import { ManualClock } from '@tenantry/contracts/clock';
import { newId } from '@tenantry/contracts/ids';
import { shippedPlans } from '@tenantry/contracts/plans';
import type { CommandContext } from '@tenantry/contracts/route';
import { MemoryKeyring } from '@tenantry/crypto/memory-keyring';
import { MemoryEventStore } from '@tenantry/event-store/adapters/memory/memory-event-store';
import { DefaultTenantLog } from '@tenantry/event-store/tenant-log-default';
import { expect, it } from 'vitest';
import { ApprovedTransitions } from './approved-transitions.js';
import type { Deletions } from './deletions.js';
import { draft, registration } from './registration.js';
import { markProvisioned, register, type Tenant, tenant } from './tenant.js';
import type { TenantRetry } from './tenant-retry.js';
import { TenantTransitions } from './tenant-transitions.js';
import { activate, archive, restore, suspend } from './transitions.js';

const PARENT = newId();
const platform = { cause: 'policy' } as const;
const reseller = { cause: 'manual', resellerId: PARENT } as const;

/** A reseller's active child, and its commands once others have approved them. */
async function given() {
  const clock = new ManualClock();
  const log = new DefaultTenantLog(new MemoryEventStore(), new MemoryKeyring());
  const tenantId = newId();
  const actor = { kind: 'service' as const, id: 'test' };
  const own = (decide: (state: Tenant) => any[]) => log.transact(tenant, { tenant: tenantId, command: { id: newId(), actor } }, decide);
  const found = {
    ...{ operationId: 'op-1', slug: 'acme', domain: { type: 'subdomain', host: 'acme.tenantry.localhost', ssl: true } as const },
    ...{ plan: { ...shippedPlans.free, id: 'free', version: 1, trialDays: 0 }, now: clock.now(), parentId: PARENT },
  };
  await own(register(registration(draft({ name: 'Acme' }), found)));
  await own(markProvisioned('op-1', clock.now()));
  await own(activate({ cause: 'manual' }, clock.now()));
  const approved = new ApprovedTransitions(log, new TenantTransitions({} as TenantRetry, clock), {} as Deletions, clock);
  const context = (): CommandContext => ({
    ...{ id: newId(), requestHash: 'approved', principal: { kind: 'api-key', id: 'reseller-key', permissions: [] } },
  });
  const run = async (command: 'reactivate' | 'restore' | 'suspend' | 'archive', body: object = { resellerId: PARENT }) => {
    await approved.run(tenantId, command, body, context());
    return (await log.load(tenant, { tenant: tenantId })).state.status;
  };
  return { own, run, now: clock.now() };
}
const refused = { code: 'auth.forbidden', detail: expect.stringContaining('only the platform') };

it('what a reseller asked for ends what it began, and nothing that the platform has done since', async () => {
  const { own, run, now } = await given();
  await own(suspend(reseller, now));
  expect(await run('reactivate')).toBe('active');
  await own(suspend(reseller, now));
  await own(suspend(platform, now));
  await expect(run('reactivate')).rejects.toMatchObject(refused);
  await expect(run('archive')).rejects.toMatchObject(refused);
  expect(await run('suspend')).toBe('suspended');
  await own(archive(platform, now));
  await expect(run('restore')).rejects.toMatchObject(refused);
  await own(restore(platform, now));
  await own(archive(reseller, now));
  await expect(run('reactivate')).rejects.toMatchObject({ code: 'tenant.transition_not_allowed' });
});

it('what the platform asked for ends whatever it was', async () => {
  const { own, run, now } = await given();
  await own(suspend(platform, now));
  await own(archive(reseller, now));
  expect(await run('restore', {})).toBe('suspended');
  expect(await run('reactivate', {})).toBe('active');
});
