import { ManualClock } from '@tenantry/contracts/clock';
import { newId } from '@tenantry/contracts/ids';
import { shippedPlans } from '@tenantry/contracts/plans';
import { MemoryKeyring } from '@tenantry/crypto/memory-keyring';
import { MemoryEventStore } from '@tenantry/event-store/adapters/memory/memory-event-store';
import { DefaultTenantLog } from '@tenantry/event-store/tenant-log-default';
import { ComeBack } from '@tenantry/messaging/effects';
import type { Database } from '@tenantry/service/database';
import { beforeEach, describe, expect, it } from 'vitest';
import type { OperationIndex } from '../operation/operation-index.js';
import { holdLegally, scheduleDeletion, undelete } from './deletion.js';
import { DeletionGrace } from './deletion-grace.effect.js';
import { Deletions } from './deletions.js';
import { draft, registration } from './registration.js';
import type { Resellers } from './resellers.js';
import { register, registered, type Tenant, tenant } from './tenant.js';

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
const tenantId = newId();
let clock: ManualClock;
let log: DefaultTenantLog;
let atWork: number;
let children: number;
let grace: DeletionGrace;

const own = (decide: (state: Tenant) => any[]) =>
  log.transact(tenant, { tenant: tenantId, command: { id: newId(), actor: { kind: 'service', id: 'test' } } }, decide);
/** What the effect says: done, or in how many ms it comes back. */
const run = (): Promise<number | 'done'> =>
  grace
    .run({
      id: newId(),
      tenantId,
      name: 'deletion-grace',
      payload: {},
      causationId: newId(),
      attempt: 1,
      signal: new AbortController().signal,
    })
    .then(
      () => 'done' as const,
      (error: unknown) => {
        if (error instanceof ComeBack) return error.afterMs;
        throw error;
      },
    );
const deletion = async () => registered((await log.load(tenant, { tenant: tenantId })).state).deletion;
const begun = async () =>
  (await log.load(tenant, { tenant: tenantId })).events.filter(({ type }) => type === 'TenantErasureStarted').length;
const schedule = (operationId = 'op-2', graceDays = 7) => own(scheduleDeletion({ cause: 'manual', operationId, graceDays }, clock.now()));

beforeEach(async () => {
  clock = new ManualClock();
  log = new DefaultTenantLog(new MemoryEventStore(), new MemoryKeyring());
  atWork = 0;
  children = 0;
  const database = { pool: { query: async () => ({ rowCount: atWork }) } } as unknown as Database;
  const resellers = { settleChildren: async () => children } as unknown as Resellers;
  grace = new DeletionGrace(log, database, new Deletions(log, {} as OperationIndex, resellers, clock), clock);
  const found = {
    ...{ operationId: 'op-1', slug: 'acme', domain: { type: 'subdomain', host: 'acme.tenantry.localhost', ssl: true } as const },
    ...{ plan: { ...shippedPlans.free, id: 'free', version: 1 }, now: clock.now() },
  };
  await own(register(registration(draft({ name: 'Acme' }), found)));
});

describe('the grace of a deletion', () => {
  it('ends with it where a child was registered while it began, once', async () => {
    await schedule();
    children = 1;
    expect([await run(), await run()]).toEqual(['done', 'done']);
    expect(await deletion()).toBeNull();
    const cancelled = (await log.load(tenant, { tenant: tenantId })).events.filter(({ type }) => type === 'TenantDeletionCancelled');
    expect(cancelled).toHaveLength(1);
  });
  it('is waited for, an hour at a time, and then the erasure begins, once', async () => {
    await schedule();
    expect(await run()).toBe(HOUR_MS);
    clock.advance(7 * DAY_MS - 5_000);
    expect(await run()).toBe(5_000);
    clock.advance(5_000);
    expect(await run()).toBe('done');
    expect(await deletion()).toMatchObject({ operationId: 'op-2', erasing: true });
    expect(await run()).toBe('done');
    expect(await begun()).toBe(1);
  });

  it('is followed by nothing where the tenant was undeleted, and a later deletion has a grace of its own', async () => {
    await schedule();
    await own(undelete({ cause: 'manual' }, clock.now()));
    clock.advance(8 * DAY_MS);
    expect(await run()).toBe('done');
    await schedule('op-3');
    expect(await run()).toBe(HOUR_MS);
    expect(await begun()).toBe(0);
  });

  it('is followed by nothing under a legal hold, and by the erasure at its release', async () => {
    await schedule();
    await own(holdLegally(true, 'a case', clock.now()));
    clock.advance(8 * DAY_MS);
    expect(await run()).toBe('done');
    expect(await begun()).toBe(0);
    await own(holdLegally(false, undefined, clock.now()));
    // Asked for by the release.
    expect(await run()).toBe('done');
    expect(await begun()).toBe(1);
  });

  it('lets a provisioning or a move that is at work come to its end first', async () => {
    await schedule();
    clock.advance(8 * DAY_MS);
    atWork = 1;
    expect(await run()).toBeLessThan(HOUR_MS);
    expect(await begun()).toBe(0);
    atWork = 0;
    expect(await run()).toBe('done');
    expect(await begun()).toBe(1);
  });

  it('that is over cannot be taken back', async () => {
    await schedule();
    clock.advance(8 * DAY_MS);
    await run();
    await expect(own(undelete({ cause: 'manual' }, clock.now()))).rejects.toMatchObject({ code: 'tenant.transition_not_allowed' });
    await expect(own(holdLegally(true, undefined, clock.now()))).rejects.toMatchObject({ code: 'tenant.transition_not_allowed' });
  });
});
