import { ManualClock } from '@tenantry/contracts/clock';
import { newId } from '@tenantry/contracts/ids';
import { MemoryKeyring } from '@tenantry/crypto/memory-keyring';
import { MemoryEventStore } from '@tenantry/event-store/adapters/memory/memory-event-store';
import { DefaultTenantLog } from '@tenantry/event-store/tenant-log-default';
import { expect, it } from 'vitest';
import { create, eventSubscription, streamOf } from './event-subscription.js';
import { consumersOf } from './grant.js';
import { SubscriptionsStore } from './subscriptions.store.js';

it('finds what a tenant still has at the broker without the list, and nothing once that is gone', async () => {
  const clock = new ManualClock();
  const log = new DefaultTenantLog(new MemoryEventStore(), new MemoryKeyring());
  const [tenantId, subscriptionId] = [newId(), newId()];
  const data = {
    ...{ subscriptionId, name: 'warehouse', tenants: [tenantId], contexts: ['tenant' as const, 'quota' as const], types: null },
    ...{ from: 'new' as const, startsAt: null, account: 'AB', createdAt: clock.now() },
  };
  const command = { id: newId(), actor: { kind: 'service' as const, id: 'test' } };
  await log.transact(eventSubscription, { tenant: tenantId, stream: streamOf(subscriptionId), command }, create(data));
  const atBroker = new Set(consumersOf(subscriptionId, data).map(({ name }) => name));
  let provisioned = 0;
  const broker = {
    consumers: { find: async (name: string) => (atBroker.has(name) ? { name } : null) },
    provisioner: { provision: async () => provisioned++ },
  };
  // As after its rows were deleted, or before they came.
  const empty = { select: () => empty, from: () => empty, where: () => empty, orderBy: () => empty, limit: async () => [] };
  let late = 0;
  const pool = {
    query: async (sql: string) => {
      if (sql.startsWith('DELETE')) late = 0;
      return { rows: [{ found: String(late) }] };
    },
  };
  const store = new SubscriptionsStore(log, { db: empty, pool } as never, broker as never, clock);
  expect(await store.count(tenantId)).toBe(3);
  await store.erase(tenantId);
  await store.erase(tenantId);
  expect(await store.count(tenantId)).toBe(2);
  atBroker.clear();
  // What is gone already needs no broker that can be changed.
  await store.erase(tenantId);
  expect(provisioned).toBe(2);
  expect(await store.count(tenantId)).toBe(0);
  // A lease or a row of progress, written by a process that was late.
  late = 1;
  expect(await store.count(tenantId)).toBe(1);
  await store.erase(tenantId);
  expect(await store.count(tenantId)).toBe(0);
  expect(await store.count(newId())).toBe(0);
});
