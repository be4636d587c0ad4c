import { ManualClock } from '@tenantry/contracts/clock';
import { newId } from '@tenantry/contracts/ids';
import { shippedPlans } from '@tenantry/contracts/plans';
import { MemoryKeyring } from '@tenantry/crypto/memory-keyring';
import { MemoryEventStore } from '@tenantry/event-store/adapters/memory/memory-event-store';
import { DefaultTenantLog } from '@tenantry/event-store/tenant-log-default';
import type { Effect } from '@tenantry/messaging/effects';
import { beforeEach, describe, expect, it } from 'vitest';
import type { FollowParentPayload } from './family.process.js';
import { FollowParent } from './follow-parent.effect.js';
import { draft, registration } from './registration.js';
import type { Resellers } from './resellers.js';
import { markProvisioned, register, registered, type Tenant, tenant } from './tenant.js';
import { activate, archive, reactivate, restore, suspend } from './transitions.js';

const CHILDREN = 45;

/** Dies with one of the appends to come, after it. */
class MortalStore extends MemoryEventStore {
  appendsLeft = Number.POSITIVE_INFINITY;
  override async append(...args: Parameters<MemoryEventStore['append']>): ReturnType<MemoryEventStore['append']> {
    if (this.appendsLeft <= 0) throw new Error('the process died');
    this.appendsLeft -= 1;
    return super.append(...args);
  }
}

let store: MortalStore;
let log: DefaultTenantLog;
let effect: FollowParent;
let parentId: string;
let children: string[];
const clock = new ManualClock();
const manual = { cause: 'manual' } as const;

const does = (tenantId: string, ...decisions: ((state: Tenant) => any[])[]) =>
  decisions.reduce(
    (before, decide) =>
      before.then(() =>
        log.transact(tenant, { tenant: tenantId, command: { id: newId(), actor: { kind: 'service', id: 'test' } } }, decide),
      ),
    Promise.resolve() as Promise<unknown>,
  );
const born = async (parent?: string, active = true): Promise<string> => {
  const id = newId();
  const plan = { ...shippedPlans.msp, id: 'msp', version: 1 };
  const found = {
    operationId: newId(),
    slug: id,
    domain: { type: 'subdomain', host: `${id}.example`, ssl: true } as const,
    plan,
    now: clock.now(),
  };
  await does(
    id,
    register({ ...registration(draft({ name: 'One' }), found), parentId: parent }),
    markProvisioned(found.operationId, clock.now()),
    ...(active ? [activate({ cause: 'provisioned', operationId: found.operationId }, clock.now())] : []),
  );
  return id;
};
const run = (tenantId = parentId, payload: FollowParentPayload = {}) =>
  effect.run({ id: newId(), tenantId, causationId: newId(), payload } as Effect<FollowParentPayload>);
const statuses = async () => {
  const states = await Promise.all(children.map(async (id) => registered((await log.load(tenant, { tenant: id })).state).status));
  return [...new Set(states)];
};
const eventsOf = async (id: string) => (await store.readStream(id, 'tenant')).events.map(({ type }) => type);

beforeEach(async () => {
  store = new MortalStore();
  log = new DefaultTenantLog(store, new MemoryKeyring());
  parentId = await born();
  children = await Promise.all(Array.from({ length: CHILDREN }, () => born(parentId)));
  effect = new FollowParent(log, { childrenOf: async () => new Map(children.map((id) => [id, id])) } as unknown as Resellers, clock);
});

describe('the children of a reseller', () => {
  it('follow it once, however often the effect runs', async () => {
    await does(parentId, suspend(manual, clock.now()));
    await run();
    await Promise.all([run(), run()]);
    expect(await statuses()).toEqual(['suspended']);
    expect((await eventsOf(children[0] as string)).filter((type) => type === 'TenantSuspended')).toHaveLength(1);
  });
  it('all follow it, wherever the process dies', async () => {
    await does(parentId, suspend(manual, clock.now()));
    for (const appends of [0, 1, 17, 30]) {
      store.appendsLeft = appends;
      await run().catch((error: Error) => expect(error.message).toMatch(/died/));
    }
    store.appendsLeft = Number.POSITIVE_INFINITY;
    await run();
    expect(await statuses()).toEqual(['suspended']);
    for (const id of children) expect((await eventsOf(id)).filter((type) => type === 'TenantSuspended')).toHaveLength(1);
  });
  it('are where it is, whichever of two effects ends last', async () => {
    await does(parentId, suspend(manual, clock.now()));
    const first = run();
    await does(parentId, reactivate(manual, clock.now()));
    await Promise.all([first, run()]);
    expect(await statuses()).toEqual(['active']);
    await does(parentId, suspend(manual, clock.now()));
    await run();
    expect(await statuses()).toEqual(['suspended']);
  });
  it('are where it is too when they come back after it did', async () => {
    const [first, second] = children as [string, string];
    await does(parentId, suspend(manual, clock.now()));
    await run();
    await does(first, archive(manual, clock.now()));
    await does(parentId, reactivate(manual, clock.now()));
    await run();
    await does(second, archive(manual, clock.now()));
    await does(first, restore(manual, clock.now()));
    await run(first, { cameBack: true });
    expect(await statuses()).toEqual(['active', 'archived']);
    await does(parentId, suspend(manual, clock.now()));
    await run();
    await does(second, restore(manual, clock.now()));
    await run(second, { cameBack: true });
    expect(await statuses()).toEqual(['suspended']);
  });
  it('are suspended too where they become usable while it is suspended, and come back with it', async () => {
    const late = await born(parentId, false);
    children.push(late);
    await does(parentId, suspend(manual, clock.now()));
    await run();
    await does(late, activate({ cause: 'provisioned' }, clock.now()));
    await run(late, { cameBack: true });
    expect(await statuses()).toEqual(['suspended']);
    expect((await eventsOf(late)).at(-1)).toBe('TenantSuspended');
    await does(parentId, reactivate(manual, clock.now()));
    await run();
    expect(await statuses()).toEqual(['active']);
  });
  it('that were suspended for themselves stay so', async () => {
    await does(children[3] as string, suspend({ cause: 'policy' }, clock.now()));
    await does(parentId, suspend(manual, clock.now()));
    await run();
    await does(parentId, reactivate(manual, clock.now()));
    await run();
    expect((await statuses()).sort()).toEqual(['active', 'suspended']);
    expect(registered((await log.load(tenant, { tenant: children[3] as string })).state).statusCause).toBe('policy');
  });
});
