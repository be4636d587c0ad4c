import { setImmediate as tick } from 'node:timers/promises';
import { ManualClock } from '@tenantry/contracts/clock';
import { DomainError } from '@tenantry/contracts/errors';
import type { StoredEvent } from '@tenantry/contracts/events';
import { derivedId, newId } from '@tenantry/contracts/ids';
import { shippedPlans } from '@tenantry/contracts/plans';
import type { CommandContext } from '@tenantry/contracts/route';
import { MemoryKeyring } from '@tenantry/crypto/memory-keyring';
import { MemoryEventStore } from '@tenantry/event-store/adapters/memory/memory-event-store';
import type { TenantLog } from '@tenantry/event-store/tenant-log';
import { DefaultTenantLog } from '@tenantry/event-store/tenant-log-default';
import { ComeBack, type Effect } from '@tenantry/messaging/effects';
import type { EffectRequest } from '@tenantry/messaging/projection';
import type { Database } from '@tenantry/service/database';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { OperationIndex } from '../operation/operation-index.js';
import type { Plans } from '../plan/plans.js';
import { CreateTenantRpc } from './create-tenant.rpc.js';
import { undelete } from './deletion.js';
import { DeletionGrace } from './deletion-grace.effect.js';
import { Deletions } from './deletions.js';
import { letsChildren } from './family.js';
import { family } from './family.process.js';
import { FollowParent } from './follow-parent.effect.js';
import type { Names } from './names.js';
import { draft, registration } from './registration.js';
import { Resellers } from './resellers.js';
import { markProvisioned, register, registered, type Tenant, tenant } from './tenant.js';
import { activate, archive, asReseller, reactivate, restore, suspend } from './transitions.js';

const DAY_MS = 24 * 3_600_000;
const died = new Error('the process died');

/** Answers after a while that differs from call to call, so that who asks at the same time overtakes each other; and dies around appends. */
class BusyStore extends MemoryEventStore {
  seed = 1;
  /** The appends to come with which a process dies: before it reaches the log, or after. */
  deaths: ('before' | 'after' | null)[] = [];
  /** What happens right before something is appended, once. */
  before: { type: string; happens: () => Promise<unknown> } | null = null;
  appended: (event: StoredEvent) => void = () => undefined;

  private async sometime(): Promise<void> {
    this.seed = (Math.imul(this.seed, 1_103_515_245) + 12_345) >>> 0;
    // Now and then somebody else is done in the meantime.
    const long = (this.seed >>> 20) % 12 === 0 ? 40 : 0;
    for (let n = long + ((this.seed >>> 16) % 4); n > 0; n--) await tick();
  }
  override async append(...args: Parameters<MemoryEventStore['append']>): ReturnType<MemoryEventStore['append']> {
    const dies = this.deaths.shift() ?? null;
    await this.sometime();
    if (dies === 'before') throw died;
    const { before } = this;
    if (before !== null && args[0].events.some(({ type }) => type === before.type)) {
      this.before = null;
      await before.happens();
    }
    const result = await super.append(...args);
    if (result.outcome === 'appended') for (const event of result.events) this.appended(event as StoredEvent);
    await this.sometime();
    if (dies === 'after') throw died;
    return result;
  }
  override async readStream(...args: Parameters<MemoryEventStore['readStream']>): ReturnType<MemoryEventStore['readStream']> {
    await this.sometime();
    const result = await super.readStream(...args);
    await this.sometime();
    return result;
  }
}

/** A reseller, its children, and two replicas of the service. */
async function given(seed: number) {
  const clock = new ManualClock();
  const store = new BusyStore();
  store.seed = seed;
  const keyring = new MemoryKeyring();
  const parentId = newId();
  const due: { name: string; tenantId: string; id: string; payload: object }[] = [];
  store.appended = ({ type, tenantId, id }) => {
    const wanted = (family.on as Record<string, ((event: unknown) => EffectRequest | null) | undefined>)[type];
    const event = events.get(id);
    const effect = wanted?.(event) ?? null;
    if (effect) due.push({ name: effect.name, tenantId, id, payload: effect.payload as object });
    if (type === 'TenantDeletionScheduled') due.push({ name: 'deletion-grace', tenantId, id, payload: {} });
  };
  const events = { get: (id: string) => known.get(id) };
  const known = new Map<string, StoredEvent>();
  const append = store.appended;
  store.appended = (event) => {
    known.set(event.id, event);
    append(event);
  };
  /** The list of tenants, which knows what it knew when it was looked at last. */
  let listed: { id: string; slug: string; status: string }[] = [];
  const plan = { ...shippedPlans.msp, id: 'msp', version: 1 };
  const childPlan = { ...shippedPlans.free, id: 'free', version: 1 };
  const domain = (host: string) => ({ type: 'subdomain', host, ssl: true }) as const;

  const start = () => {
    const log: TenantLog = new DefaultTenantLog(store, keyring);
    const database = {
      db: { select: () => ({ from: () => ({ where: async () => listed }) }) },
      pool: { query: async () => ({ rowCount: 0 }) },
    } as unknown as Database;
    const index = { add: async () => undefined } as unknown as OperationIndex;
    const resellers = new Resellers(log, database, clock);
    const deletions = new Deletions(log, index, resellers, clock);
    const names = { reserve: async (id: string) => ({ slug: id, domain: domain(`${id}.example`) }) } as unknown as Names;
    const creates = new CreateTenantRpc(
      log,
      names,
      { current: async () => childPlan } as unknown as Plans,
      resellers,
      index,
      keyring,
      clock,
    );
    return {
      log,
      deletions,
      creates,
      follow: new FollowParent(log, resellers, clock),
      grace: new DeletionGrace(log, database, deletions, clock),
    };
  };
  let replicas = [start(), start()] as const;
  const children: string[] = [];

  const does = (log: TenantLog, id: string, decide: (state: Tenant) => any[]) =>
    log.transact(tenant, { tenant: id, command: { id: newId(), actor: { kind: 'service', id: 'test' } } }, decide);
  const asked = (tenantId?: string): CommandContext => ({
    ...{ id: newId(), requestHash: '0'.repeat(64) },
    principal: { kind: tenantId === undefined ? 'staff' : 'api-key', id: 'someone', permissions: ['*'], tenantId },
  });
  const found = { operationId: 'op', slug: 'msp', domain: domain('msp.example'), plan, now: clock.now() };
  const first = replicas[0].log;
  await does(first, parentId, register(registration(draft({ name: 'Reseller', plan: 'msp' }), found)));
  await does(first, parentId, markProvisioned('op', clock.now()));
  await does(first, parentId, activate({ cause: 'provisioned' }, clock.now()));

  const stateOf = async (id: string): Promise<Tenant> => (await first.load(tenant, { tenant: id })).state;
  const manual = { cause: 'manual' } as const;
  const platform = { suspend, reactivate, archive, restore, undelete };
  const act = async (action: Action, { log, deletions, creates }: (typeof replicas)[number]): Promise<void> => {
    const now = clock.now();
    if (action.kind === 'create') {
      const command = asked(parentId);
      // Known before the answer: who dies has perhaps made it.
      children.push(derivedId('tenant', command.id));
      await creates.handle({ body: { name: 'Child' }, command } as never);
      return;
    }
    const id = action.on === 'parent' ? parentId : children[action.child % Math.max(children.length, 1)];
    if (id === undefined) return;
    if (action.what === 'delete') return void (await deletions.begin(id, { graceDays: 1 }, asked()));
    if (action.what === 'provisioned') {
      await does(log, id, markProvisioned('op', now));
      return void (await does(log, id, activate({ cause: 'provisioned' }, now)));
    }
    if (action.what === 'by reseller')
      return void (await does(
        log,
        id,
        asReseller(parentId, (['active', 'suspended', 'archived'] as const)[action.child % 3] ?? 'active', manual, now),
      ));
    await does(log, id, platform[action.what](manual, now));
  };
  const runEffect = async (effect: (typeof due)[number], replica: (typeof replicas)[number]): Promise<void> => {
    const request = { ...effect, causationId: effect.id, attempt: 1, signal: new AbortController().signal } as never as Effect<never>;
    try {
      await (effect.name === 'deletion-grace' ? replica.grace : replica.follow).run(request);
    } catch (error) {
      due.push(effect);
      if (error !== died && !(error instanceof ComeBack)) throw error;
    }
  };
  return {
    ...{ parentId, children, clock, store, stateOf },
    at: (replica: 0 | 1, action: Action) => act(action, replicas[replica]),
    list: async () => {
      const states = await Promise.all(children.map(async (id) => ({ id, state: await stateOf(id) })));
      listed = states.flatMap(({ id, state }) => (state.status === 'none' ? [] : [{ id, slug: state.slug, status: state.status }]));
    },
    /** All at once, each at one of the replicas. Refusals and deaths are outcomes. */
    together: async (actions: Action[], effects: number) => {
      const running = due.splice(0, effects).map((effect, index) => runEffect(effect, replicas[index % 2] as never));
      const outcomes = await Promise.allSettled([...running, ...actions.map((action, index) => act(action, replicas[index % 2] as never))]);
      for (const outcome of outcomes)
        if (outcome.status === 'rejected' && outcome.reason !== died && !(outcome.reason instanceof DomainError)) throw outcome.reason;
      if (outcomes.some((outcome) => outcome.status === 'rejected' && outcome.reason === died)) replicas = [start(), start()];
    },
    settle: async () => {
      store.deaths = [];
      for (let rounds = 0; due.length > 0 && rounds < 50; rounds++) {
        const effects = due.splice(0);
        clock.advance(DAY_MS);
        for (const effect of effects) await runEffect(effect, replicas[0]);
      }
      expect(due).toEqual([]);
    },
  };
}

type Action =
  | { kind: 'create' }
  | {
      kind: 'change';
      on: 'parent' | 'child';
      child: number;
      what: 'suspend' | 'reactivate' | 'archive' | 'restore' | 'undelete' | 'delete' | 'provisioned' | 'by reseller';
    };
const change = (on: 'parent' | 'child', ...what: Extract<Action, { kind: 'change' }>['what'][]) =>
  fc.record({ kind: fc.constant('change' as const), on: fc.constant(on), child: fc.nat(5), what: fc.constantFrom(...what) });
const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 4, arbitrary: fc.constant({ kind: 'create' as const }) },
  { weight: 4, arbitrary: change('child', 'provisioned') },
  { weight: 4, arbitrary: change('parent', 'suspend', 'reactivate', 'archive', 'restore') },
  { weight: 4, arbitrary: change('parent', 'delete', 'undelete') },
  { weight: 3, arbitrary: change('child', 'suspend', 'reactivate', 'archive', 'restore', 'delete', 'undelete', 'by reseller') },
);
const round = fc.record({
  actions: fc.array(action, { minLength: 1, maxLength: 4 }),
  effects: fc.nat(3),
  listed: fc.boolean(),
  deaths: fc.array(fc.constantFrom(null, null, null, 'before' as const, 'after' as const), { maxLength: 3 }),
});

it('no child outlives its reseller, and none is usable or closed against it, whatever happens at the same time and whoever dies', async () => {
  const seen = new Set<string>();
  await fc.assert(
    fc.asyncProperty(fc.array(round, { minLength: 1, maxLength: 12, size: 'max' }), fc.nat(), async (rounds, seed) => {
      const on = await given(seed);
      for (const { actions, effects, listed, deaths } of rounds) {
        on.store.deaths = [...deaths];
        await on.together(actions, effects);
        if (listed) await on.list();
      }
      await on.settle();
      const parent = registered(await on.stateOf(on.parentId));
      for (const id of on.children) {
        const child = await on.stateOf(id);
        if (child.status === 'none') continue;
        seen.add(`${parent.status}${parent.deletion?.erasing ? ' erasing' : ''}: ${child.status}`);
        expect(child.parentId).toBe(on.parentId);
        // Who is being erased itself is as good as gone; nothing else is left behind.
        if (parent.deletion?.erasing) expect(child.status).toBe('deleted');
        if (letsChildren(child)) expect(letsChildren(parent)).toBe(true);
        if (child.status === 'suspended' && child.suspendedWith !== null) expect(letsChildren(parent)).toBe(false);
      }
    }),
    { numRuns: 300 },
  );
  // The sequences went where it matters.
  for (const one of ['active: active', 'suspended: suspended']) expect(seen).toContain(one);
}, 60_000);

describe('a child that is registered while its reseller’s deletion begins', () => {
  const create = { kind: 'create' } as const;
  const deletion = { kind: 'change', on: 'parent', child: 0, what: 'delete' } as const;
  const refused = (code: string) => expect.objectContaining({ code });

  it.each([
    ['it is admitted', 'ChildAdmitted', 'auth.forbidden'],
    ['it is registered', 'TenantRegistered', 'log.conflict'],
  ])('is refused where the deletion comes before %s', async (_when, type, code) => {
    const on = await given(1);
    on.store.before = { type, happens: () => on.at(1, deletion) };
    await expect(on.at(0, create)).rejects.toEqual(refused(code));
    expect([(await on.stateOf(on.parentId)).status, (await on.stateOf(on.children[0] as string)).status]).toEqual(['deleting', 'none']);
    await on.settle();
    expect(registered(await on.stateOf(on.parentId)).deletion?.erasing).toBe(true);
  });
  it('ends the deletion where it is registered before that is written', async () => {
    const on = await given(1);
    on.store.before = { type: 'TenantDeletionScheduled', happens: () => on.at(1, create) };
    await expect(on.at(0, deletion)).rejects.toEqual(refused('tenant.has_children'));
    expect([(await on.stateOf(on.parentId)).status, (await on.stateOf(on.children[0] as string)).status]).toEqual(['active', 'pending']);
  });
  it('ends it too where the process that began it dies', async () => {
    const on = await given(1);
    on.store.before = {
      type: 'TenantDeletionScheduled',
      happens: async () => {
        await on.at(1, create);
        on.store.deaths = ['before'];
      },
    };
    await expect(on.at(0, deletion)).rejects.toBe(died);
    expect((await on.stateOf(on.parentId)).status).toBe('deleting');
    await on.settle();
    expect((await on.stateOf(on.parentId)).status).toBe('active');
  });
});
