import { ManualClock } from '@tenantry/contracts/clock';
import { newId } from '@tenantry/contracts/ids';
import { shippedPlans } from '@tenantry/contracts/plans';
import { MemoryKeyring } from '@tenantry/crypto/memory-keyring';
import { MemoryEventStore } from '@tenantry/event-store/adapters/memory/memory-event-store';
import { DefaultTenantLog } from '@tenantry/event-store/tenant-log-default';
import { describe, expect, it } from 'vitest';
import type { Holding } from '../approval/holding.js';
import type { JobHandler, JobItem } from '../job/job-handler.js';
import { draft, registration } from '../tenant/registration.js';
import { markProvisioned, register, type Tenant, tenant } from '../tenant/tenant.js';
import { activate, archive } from '../tenant/transitions.js';
import { changeTags, tenantDecisions } from './tenant-decisions.job.js';

const having = (tags: string[]) => ({ status: 'active', tags }) as Tenant;

describe('the tags of many tenants', () => {
  it('are added and removed, and those that are not named stay', () => {
    expect(changeTags({ add: ['b', 'c'], remove: ['a'] })(having(['a', 'b', 'x']))).toEqual([
      { type: 'TenantUpdated', data: { tags: ['b', 'x', 'c'], before: { tags: ['a', 'b', 'x'] } } },
    ]);
  });

  it('change nothing where a tenant has them already', () => {
    expect(changeTags({ add: ['a'], remove: ['z'] })(having(['a']))).toEqual([]);
  });

  it('are refused where there would be too many', () => {
    const many = Array.from({ length: 50 }, (_, index) => `t${index}`);
    expect(() => changeTags({ add: ['new'] })(having(many))).toThrow(expect.objectContaining({ code: 'request.invalid' }));
    expect(() => changeTags({ add: ['new'] })({ status: 'none' })).toThrow(expect.objectContaining({ code: 'tenant.not_found' }));
  });
});

describe('a transition of many tenants', () => {
  it('counts as made where it was, whatever became of the tenant before the item is run again', async () => {
    const clock = new ManualClock();
    const log = new DefaultTenantLog(new MemoryEventStore(), new MemoryKeyring());
    const [tenantId, actor] = [newId(), { kind: 'service' as const, id: 'test' }];
    const own = (decide: (state: Tenant) => any[]) => log.transact(tenant, { tenant: tenantId, command: { id: newId(), actor } }, decide);
    const found = {
      ...{ operationId: 'op-1', slug: 'acme', domain: { type: 'subdomain', host: 'acme.tenantry.localhost', ssl: true } as const },
      ...{ plan: { ...shippedPlans.free, id: 'free', version: 1 }, now: clock.now() },
    };
    await own(register(registration(draft({ name: 'Acme' }), found)));
    await own(markProvisioned('op-1', clock.now()));
    await own(activate({ cause: 'manual' }, clock.now()));
    const holding = { clearedDecision: async (decide: unknown) => decide } as unknown as Holding;
    const handlers = tenantDecisions.map(({ useFactory }) => useFactory(log, holding, clock) as JobHandler);
    const suspending = handlers.find(({ type }) => type === 'bulk.suspend')!;
    const item: JobItem = { ordinal: 0, tenantId, target: null, wave: 0, retries: 0, attempt: 1 };
    const run = () => suspending.run(item, { operationId: 'op-2', params: {}, actor, causationId: newId() }, new AbortController().signal);

    expect(await run()).toEqual({ status: 'succeeded' });
    await own(archive({ cause: 'manual' }, clock.now()));
    expect(await run()).toEqual({ status: 'succeeded' });
    expect((await log.load(tenant, { tenant: tenantId })).state.status).toBe('archived');
  });
});
