import { billingEvents } from '@tenantry/contracts/billing/events';
import { SystemClock } from '@tenantry/contracts/clock';
import { domainEvents } from '@tenantry/contracts/domain/events';
import type { EventSet } from '@tenantry/contracts/events';
import { newId } from '@tenantry/contracts/ids';
import { type PlanSnapshot, planIds, shippedPlans } from '@tenantry/contracts/plans';
import { quotaEvents } from '@tenantry/contracts/quota/events';
import type { CommandContext } from '@tenantry/contracts/route';
import { MemoryKeyring } from '@tenantry/crypto/memory-keyring';
import { MemoryEventStore } from '@tenantry/event-store/adapters/memory/memory-event-store';
import { aggregate } from '@tenantry/event-store/aggregate';
import { DefaultTenantLog } from '@tenantry/event-store/tenant-log-default';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Holding } from '../approval/holding.js';
import { config, initialize } from '../config/config.js';
import { ConfigChanges } from '../config/config-changes.js';
import { initialSettings } from '../config/initial-settings.js';
import { MASKED } from '../config/setting-input.js';
import { SettingsRpc } from '../config/settings.rpc.js';
import type { Plans } from '../plan/plans.js';
import { GetTenantRpc } from '../tenant/get-tenant.rpc.js';
import { draft, registration } from '../tenant/registration.js';
import { markProvisioned, register, type Tenant, tenant } from '../tenant/tenant.js';
import type { TenantRetry } from '../tenant/tenant-retry.js';
import { TenantTransitions } from '../tenant/tenant-transitions.js';
import { activate } from '../tenant/transitions.js';
import { TransitionsRpc } from '../tenant/transitions.rpc.js';
import { UpdateTenantRpc } from '../tenant/update-tenant.rpc.js';
import { DiffHistoryRpc } from './diff-history.rpc.js';
import { ListHistoryRpc } from './list-history.rpc.js';
import { Sensitive } from './sensitive.js';
import { TenantHistory } from './tenant-history.js';

const clock = new SystemClock();
const plan = (id: (typeof planIds)[number]): PlanSnapshot => ({ ...shippedPlans[id], id, version: 1, trialDays: 0 });
const system = () => ({ id: newId(), actor: { kind: 'service' as const, id: 'test' } });
const request = (permissions = ['*']): CommandContext => ({
  id: newId(),
  requestHash: '0'.repeat(64),
  principal: { kind: 'staff', id: 'staff-1', permissions },
});

/** A tenant of its own in a log in memory, and the requests about it, by the handlers that serve them. */
async function given(permissions?: string[]) {
  const tenantId = newId();
  const keyring = new MemoryKeyring();
  const log = new DefaultTenantLog(new MemoryEventStore(), keyring);
  const history = new TenantHistory(log, clock);
  const sensitive = new Sensitive(log);
  const current = async (id: (typeof planIds)[number]) => plan(id);
  const plans = { current, of: ({ id }: { id: (typeof planIds)[number] }) => current(id) } as unknown as Plans;
  const unheld = {
    hold: async (_t: string, _c: string, cleared: unknown) => ({ held: null, cleared }),
    holdCommand: async () => null,
    clearedDecision: async (decide: unknown) => decide,
  } as unknown as Holding;
  const status = new TransitionsRpc(log, new TenantTransitions({} as TenantRetry, clock), keyring, clock, unheld);
  const changes = new ConfigChanges(log, keyring, plans, clock);
  const settings = new SettingsRpc(log, keyring, changes, unheld);
  const update = new UpdateTenantRpc(log, keyring, changes, unheld);
  const reads = new GetTenantRpc(log, keyring, history, sensitive);
  const diffs = new DiffHistoryRpc(history, sensitive, keyring);
  const lists = new ListHistoryRpc(history, sensitive, keyring);
  const call = <P, Q, B>(params: P, query: Q, body: B) => ({
    tenantId,
    params: { tenantId, ...params },
    query,
    body,
    command: request(permissions),
  });
  /** What another service says in this log. */
  const foreign = <S extends EventSet>(stream: string, events: S, type: string, data: unknown) =>
    log.transact(aggregate({ stream, events, initial: null, evolve: () => null }), { tenant: tenantId, stream, command: system() }, () => [
      { type, data } as never,
    ]);
  const own = (decide: (state: Tenant) => any[]) => log.transact(tenant, { tenant: tenantId, command: system() }, decide);
  const now = clock.now();
  const asked = draft({ name: 'Acme', billingEmail: 'bill@acme.example', settings: { motto: 'first' } });
  const domain = { type: 'subdomain', host: 'acme.tenantry.localhost', ssl: true } as const;
  await own(register(registration(asked, { operationId: 'op', slug: 'acme', domain, plan: plan('free'), now })));
  await own(markProvisioned('op', now));
  const first = await log.load(tenant, { tenant: tenantId });
  await log.transact(config, { tenant: tenantId, command: system() }, initialize(initialSettings(first.state as never), {}));
  await own(activate({ cause: 'provisioned', operationId: 'op' }, now));
  return {
    ...{ tenantId, log, keyring, foreign },
    update: (body: Record<string, unknown>) => update.handle(call({}, {}, body) as never),
    suspend: (reason?: string) => status.suspend(call({}, {}, { reason }) as never) as ReturnType<typeof update.handle>,
    reactivate: () => status.reactivate(call({}, {}, {}) as never) as ReturnType<typeof update.handle>,
    set: (key: string, body: Record<string, unknown>) => settings.put(call({ key }, {}, body) as never),
    current: () => reads.handle(call({}, {}, {}) as never),
    at: (at: string | number) => reads.handle(call({}, { at: String(at) }, {}) as never),
    diff: async (from: string | number, to: string | number) =>
      (await diffs.handle(call({}, { from: String(from), to: String(to) }, {}) as never)).body.changes,
    list: async (query: Record<string, unknown> = {}) => (await lists.handle(call({}, query, {}) as never)).body,
    head: async () => (await log.heads({ tenantIds: [tenantId] }))[0]?.position ?? -1,
  };
}
type Given = Awaited<ReturnType<typeof given>>;

const quotas = (limit: number | null) => [{ resource: 'users', kind: 'gauge' as const, unit: 'count', limit, source: 'plan' as const }];
const someText = fc.string({ minLength: 1, maxLength: 12 });
const step = fc.oneof(
  fc.record({ do: fc.constant('rename' as const), name: someText.filter((text) => text.trim().length > 0) }),
  fc.record({ do: fc.constant('contact' as const), email: fc.option(fc.constantFrom('a@b.example', 'c@d.example')) }),
  fc.record({ do: fc.constant('plan' as const), id: fc.constantFrom(...planIds) }),
  fc.record({ do: fc.constant('suspend' as const), reason: fc.option(someText) }),
  fc.record({ do: fc.constant('reactivate' as const) }),
  fc.record({
    do: fc.constant('set' as const),
    key: fc.constantFrom('motto', 'theme', 'smtp.host', 'x_y-z'),
    value: fc.constantFrom('a', 'b', 'c'),
    encrypted: fc.boolean(),
  }),
  fc.record({ do: fc.constant('limit' as const), limit: fc.option(fc.nat(9)) }),
  fc.record({ do: fc.constant('domain' as const), n: fc.nat(2), gone: fc.boolean() }),
);
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

/** Makes the change, and gives what was answered where it was a request. */
async function make(on: Given, change: Step) {
  const at = clock.now();
  switch (change.do) {
    case 'rename':
      return on.update({ name: change.name });
    case 'contact':
      return on.update({ billingEmail: change.email });
    case 'plan':
      return on.update({ plan: change.id });
    case 'suspend':
      return on.suspend(change.reason ?? undefined);
    case 'reactivate':
      return on.reactivate();
    case 'set':
      return on.set(change.key, { value: change.value, ...(change.key === 'theme' ? {} : { encrypted: change.encrypted }) });
    case 'limit':
      await on.foreign('quotas', quotaEvents, 'QuotasAssigned', {
        ...{
          plan: { id: 'free', version: 1 },
          retentionDays: 30,
          timezone: 'UTC',
          quotas: quotas(change.limit),
          periodStart: at,
          periodEnd: at,
        },
      });
      return null;
    case 'domain': {
      const host = `h${change.n}.example`;
      const claim = { domainId: host, host, unicodeHost: host, primary: false, ssl: true, claimedAt: at };
      if (change.gone) await on.foreign(`domain-${host}`, domainEvents, 'DomainReleased', { domainId: host, host, releasedAt: at });
      else await on.foreign(`domain-${host}`, domainEvents, 'DomainClaimed', claim);
      return null;
    }
  }
}

/** A body by its leaves' paths, as a person would compare two answers: null and nothing are the same. */
function leaves(body: Record<string, any>): Record<string, unknown> {
  const {
    version: _v,
    position: _p,
    updatedAt: _u,
    createdAt: _c,
    id: _i,
    settings,
    quotas: limits,
    domains,
    subscription: _s,
    ...flat
  } = body;
  const all = {
    ...flat,
    settings: Object.fromEntries(settings.map((one: any) => [one.key, one.value])),
    settingTypes: Object.fromEntries(settings.map(({ key, type, category, encrypted }: any) => [key, { type, category, encrypted }])),
    quotas: Object.fromEntries(limits.map(({ resource, ...limit }: any) => [resource, limit])),
    domains: Object.fromEntries(domains.map(({ host, ...domain }: any) => [host, domain])),
  };
  const found: Record<string, unknown> = {};
  const walk = (value: unknown, path: string): void => {
    if (value === null || value === undefined) return;
    if (typeof value !== 'object' || Array.isArray(value)) found[path] = value;
    else
      for (const [name, inner] of Object.entries(value))
        walk(inner, /^[\w-]+$/.test(name) ? (path ? `${path}.${name}` : name) : `${path}[${JSON.stringify(name)}]`);
  };
  walk(all, '');
  return found;
}
function applied(to: Record<string, unknown>, changes: { path: string; from: unknown; to: unknown }[]): Record<string, unknown> {
  const result = { ...to };
  for (const { path, from, to: now } of changes) {
    if (/^(retentionDays|placement|members|apiKeys|eventSubscriptions|subscription)/.test(path)) continue;
    // A mask hides the value on both sides.
    expect(result[path] ?? null).toEqual(from);
    if (now === null) delete result[path];
    else result[path] = now;
  }
  return result;
}

describe('for any sequence of changes', () => {
  it('the tenant at a position is what the command that led there answered, and a diff leads from one state to the other', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), fc.nat(), fc.nat(), async (steps, one, other) => {
        const on = await given();
        const answers = [];
        for (const change of steps) {
          const answer = await make(on, change);
          if (answer) answers.push(answer);
        }
        for (const { body, position } of answers) {
          const { settings = [], quotas: _q, subscription: _b, domains: _d, ...then } = (await on.at(position?.position ?? -1)).body;
          if (!('key' in body)) expect(then).toEqual(body);
          else {
            const setting = settings.find(({ key }) => key === body.key);
            // What became sensitive since is masked in what it was before, too.
            expect(setting).toEqual({ ...body, value: setting?.value === MASKED ? MASKED : body.value });
          }
        }
        const head = await on.head();
        const [a, b] = [one % (head + 1), other % (head + 1)];
        const [stateA, stateB, changes] = await Promise.all([on.at(a), on.at(b), on.diff(a, b)]);
        expect(applied(leaves(stateA.body), changes)).toEqual(leaves(stateB.body));
      }),
      { numRuns: 60 },
    );
  });

  it('the changes of the history, one after the other, lead to what is; in pages of any size, in both directions', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 8 }), fc.integer({ min: 1, max: 7 }), async (steps, limit) => {
        const on = await given();
        for (const change of steps) await make(on, change);
        const head = await on.head();
        const pages = async (order: 'asc' | 'desc') => {
          const items = [];
          let cursor: string | undefined;
          do {
            const page = await on.list({ limit, order, cursor });
            items.push(...page.items);
            cursor = page.nextCursor ?? undefined;
          } while (cursor !== undefined);
          return items;
        };
        const [up, down] = await Promise.all([pages('asc'), pages('desc')]);
        expect(up.map(({ position }) => position)).toEqual(Array.from({ length: head + 1 }, (_, position) => position));
        expect(down.reverse()).toEqual(up);
        const folded = up.reduce<Record<string, unknown>>((state, { changes }) => applied(state, changes), {});
        expect(folded).toEqual(leaves((await on.at(head)).body));
      }),
      { numRuns: 25 },
    );
  });
});

describe('the tenant of a moment', () => {
  it('by an instant is the one after the last event that was not later', async () => {
    const on = await given();
    await on.update({ name: 'Later' });
    const events = (await on.log.readLog(on.tenantId, 0)).events;
    const last = events.at(-1)?.recordedAt as string;
    expect((await on.at(last)).body.name).toBe('Later');
    const justBefore = `${last.slice(0, -7)}${String(Number(last.slice(-7, -1)) - 1).padStart(6, '0')}Z`;
    expect((await on.at(justBefore)).body.name).toBe('Acme');
    // The same instant in another zone, with the + lost on the way.
    const shifted = new Date(Date.parse(last) + 3_600_000).toISOString().slice(0, 19);
    expect((await on.at(`${shifted}.999999 01:00`)).body.name).toBe('Later');
  });
  it('was not there before its first event, and cannot be known before it comes', async () => {
    const on = await given();
    await expect(on.at('2020-01-01T00:00:00Z')).rejects.toMatchObject({ code: 'tenant.not_found' });
    await expect(on.at((await on.head()) + 1)).rejects.toMatchObject({ errors: [{ field: 'at' }] });
    await expect(on.at(new Date(Date.now() + 60_000).toISOString())).rejects.toMatchObject({ errors: [{ field: 'at' }] });
    expect(await on.diff('2020-01-01T00:00:00Z', 0)).toContainEqual({ path: 'name', from: null, to: 'Acme' });
  });
  it('shows of other streams only what the reader may read', async () => {
    const on = await given(['tenant:read', 'quota:read']);
    const { body } = await on.at(await on.head());
    expect(body).toMatchObject({ quotas: [], settings: undefined, subscription: undefined, domains: undefined });
  });
});

describe('what not everybody may see', () => {
  it('is masked in the history, and a sensitive setting always is, also what it was before', async () => {
    const full = await given();
    await full.set('token', { value: 'was-clear' });
    await full.set('token', { value: 's3cret', encrypted: true });
    await full.suspend('Ms Doe');
    const all = await full.list({ limit: 200 });
    expect(JSON.stringify(all)).not.toMatch(/s3cret|was-clear/);
    expect(all.items.at(-1)?.changes).toContainEqual({ path: 'statusReason', from: 'provisioned', to: 'Ms Doe' });
    expect(all.items.flatMap(({ changes }) => changes)).toContainEqual({ path: 'settings.motto', from: null, to: 'first' });
    expect(JSON.stringify((await full.at(await full.head())).body)).not.toMatch(/s3cret|was-clear/);
  });
  it('needs personal:read', async () => {
    const on = await given(['audit:read']);
    await on.suspend('Ms Doe').catch(() => undefined);
    const page = await on.list({ limit: 200 });
    expect(JSON.stringify(page)).not.toMatch(/Doe|bill@acme|first/);
    expect(page.items.flatMap(({ changes }) => changes)).toContainEqual({ path: 'billingEmail', from: null, to: '********' });
  });
  it('is null once its keys are destroyed', async () => {
    const on = await given();
    on.keyring.destroy(on.tenantId);
    expect((await on.list({ limit: 1 })).items[0]?.changes).toContainEqual({ path: 'name', from: null, to: 'Acme' });
    expect(JSON.stringify(await on.list({ limit: 1 }))).not.toContain('bill@acme');
  });
});

describe('a list of the history', () => {
  it('can be narrowed to a type, an actor, and moments', async () => {
    const on = await given();
    for (const name of ['One', 'Two', 'Three']) await on.update({ name });
    await on.foreign('subscription', billingEvents, 'SubscriptionCancelled', { reason: 'x', cancelledAt: clock.now() });
    const updated = await on.list({ type: 'TenantUpdated', limit: 2 });
    expect(updated.items.map(({ changes }) => changes)).toEqual([
      [{ path: 'name', from: 'Acme', to: 'One' }],
      [{ path: 'name', from: 'One', to: 'Two' }],
    ]);
    const rest = await on.list({ type: 'TenantUpdated', limit: 2, cursor: updated.nextCursor });
    expect(rest).toMatchObject({ items: [{ changes: [{ from: 'Two', to: 'Three' }] }], nextCursor: null });
    const back = await on.list({ type: 'TenantUpdated', limit: 2, order: 'desc' });
    expect(back.items.map(({ changes }) => changes[0]?.to)).toEqual(['Three', 'Two']);
    expect((await on.list({ actor: 'staff-1' })).items).toHaveLength(3);
    const head = await on.head();
    expect((await on.list({ from: String(head - 1), to: String(head) })).items.map(({ position }) => position)).toEqual([head - 1, head]);
  });
});
