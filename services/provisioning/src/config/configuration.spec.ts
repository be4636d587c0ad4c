import type { DiscoveryService } from '@nestjs/core';
import { ManualClock } from '@tenantry/contracts/clock';
import { newId, PLATFORM_LOG } from '@tenantry/contracts/ids';
import { type PlanSnapshot, planIds, shippedPlans } from '@tenantry/contracts/plans';
import type { ApprovalPolicy } from '@tenantry/contracts/platform/events';
import type { CommandContext } from '@tenantry/contracts/route';
import { MemoryKeyring } from '@tenantry/crypto/memory-keyring';
import { MemoryEventStore } from '@tenantry/event-store/adapters/memory/memory-event-store';
import { DefaultTenantLog } from '@tenantry/event-store/tenant-log-default';
import type { RpcClient } from '@tenantry/messaging/rpc';
import { silentLogger } from '@tenantry/observability/logger';
import { describe, expect, it } from 'vitest';
import type { ApprovalIndex } from '../approval/approval-index.js';
import { ApprovedChanges } from '../approval/approved-changes.js';
import { DecideApprovalRpc } from '../approval/decide-approval.rpc.js';
import { Holding } from '../approval/holding.js';
import { Policies, policies, setPolicies } from '../approval/policies.js';
import { ApprovedPolicies, PoliciesRpc } from '../approval/policies.rpc.js';
import { FeaturesRpc } from '../feature/features.rpc.js';
import { ConfigView } from '../history/config-view.js';
import { Sensitive } from '../history/sensitive.js';
import { TenantHistory } from '../history/tenant-history.js';
import type { Plans } from '../plan/plans.js';
import { PreviewTenantRpc } from '../preview/preview-tenant.rpc.js';
import { Previews } from '../preview/previews.js';
import { ApprovedTransitions } from '../tenant/approved-transitions.js';
import type { Deletions } from '../tenant/deletions.js';
import { draft, registration } from '../tenant/registration.js';
import { markProvisioned, register, tenant } from '../tenant/tenant.js';
import type { TenantRetry } from '../tenant/tenant-retry.js';
import { TenantTransitions } from '../tenant/tenant-transitions.js';
import { activate, reactivate, suspend } from '../tenant/transitions.js';
import { TransitionsRpc } from '../tenant/transitions.rpc.js';
import { UpdateTenantRpc } from '../tenant/update-tenant.rpc.js';
import { type ClearChange, nothingChanged } from './change.js';
import { config, initialize } from './config.js';
import { ConfigChanges } from './config-changes.js';
import { ConfigVersions } from './config-versions.js';
import { ConfigVersionsRpc } from './config-versions.rpc.js';
import { initialSettings } from './initial-settings.js';
import { PutConfigRpc } from './put-config.rpc.js';
import { MASKED } from './setting-input.js';
import { SettingsRpc } from './settings.rpc.js';

const plan = (id: (typeof planIds)[number]): PlanSnapshot => ({ ...shippedPlans[id], id, version: 1, trialDays: 0 });
const system = () => ({ id: newId(), actor: { kind: 'service' as const, id: 'test' } });

/** A tenant of its own in a log in memory, and the requests about its configuration, by the handlers that serve them. */
async function given({ used = {} }: { used?: Record<string, number> } = {}) {
  const tenantId = newId();
  const clock = new ManualClock();
  const keyring = new MemoryKeyring();
  const log = new DefaultTenantLog(new MemoryEventStore(), keyring);
  const history = new TenantHistory(log, clock);
  const sensitive = new Sensitive(log);
  /** The version of each plan that is published last. */
  let published = 1;
  const plans = {
    of: async ({ id, version = published }: { id: (typeof planIds)[number]; version?: number }) => ({ ...plan(id), version }),
  } as unknown as Plans;
  const publish = (version: number) => {
    published = version;
  };
  const tenants = new Map<string, string>();
  const index = {
    add: async (id: string, of: string) => void tenants.set(id, of),
    tenantOf: async (id: string) => tenants.get(id) as string,
  } as unknown as ApprovalIndex;
  const rpc = {
    call: async () => ({ items: Object.entries(used).map(([resource, amount]) => ({ resource, used: amount })) }),
  } as unknown as RpcClient;
  const changes = new ConfigChanges(log, keyring, plans, clock);
  /** Done once, right after the next change was looked at and before it is decided. */
  let quicker: (() => Promise<unknown>) | null = null;
  class Late extends Policies {
    override async current() {
      const found = await super.current();
      const [first] = [quicker];
      quicker = null;
      await first?.();
      return found;
    }
  }
  /** As what was approved is made. */
  const force = async (change: Partial<ClearChange>) =>
    changes.make(tenantId, await changes.plan(tenantId, { ...nothingChanged, ...change }), system());
  const meanwhile = (work: () => Promise<unknown>) => {
    quicker = work;
  };
  const holding = new Holding(log, new Late(log), index, clock);
  const providers: { instance: unknown }[] = [];
  const approved = new ApprovedChanges(log, changes, keyring, clock, { getProviders: () => providers } as unknown as DiscoveryService);
  const previews = new Previews(history, sensitive, holding, keyring, rpc, clock);
  const views = new ConfigView(history, keyring, clock);
  const settings = new SettingsRpc(log, keyring, changes, holding);
  const features = new FeaturesRpc(log, changes, holding, clock);
  const whole = new PutConfigRpc(log, history, views, changes, holding, previews);
  const versions = new ConfigVersionsRpc(log, new ConfigVersions(history, keyring), changes, holding, sensitive, keyring);
  const transitions = new TenantTransitions({} as TenantRetry, clock);
  const life = new TransitionsRpc(log, transitions, keyring, clock, holding);
  const ofPolicies = new PoliciesRpc(log, holding);
  providers.push({ instance: new ApprovedPolicies(log) });
  providers.push({ instance: new ApprovedTransitions(log, transitions, {} as Deletions, clock) });
  approved.onApplicationBootstrap();
  const decisions = new DecideApprovalRpc(log, index, approved, sensitive, keyring, clock, silentLogger);
  const preview = new PreviewTenantRpc(changes, previews);
  const update = new UpdateTenantRpc(log, keyring, changes, holding);

  const now = clock.now();
  const asked = draft({ name: 'Acme', billingEmail: 'bill@acme.example', settings: { motto: 'first' }, features: { beta: true } });
  const domain = { type: 'subdomain', host: 'acme.tenantry.localhost', ssl: true } as const;
  const own = (decide: (state: never) => any[]) => log.transact(tenant, { tenant: tenantId, command: system() }, decide as never);
  await own(register(registration(asked, { operationId: 'op', slug: 'acme', domain, plan: plan('free'), now })) as never);
  await own(markProvisioned('op', now) as never);
  const first = await log.load(tenant, { tenant: tenantId });
  await log.transact(config, { tenant: tenantId, command: system() }, initialize(initialSettings(first.state as never), {}));
  await own(activate({ cause: 'provisioned', operationId: 'op' }, now) as never);

  const as = (id: string, permissions = ['*'], person?: string) => {
    const command = (over: Partial<CommandContext> = {}): CommandContext => ({
      id: newId(),
      requestHash: '0'.repeat(64),
      principal: { kind: 'staff', id, permissions, ...(person && { person }) },
      ...over,
    });
    const call = (params: object = {}, body: unknown = {}, query: object = {}, over: Partial<CommandContext> = {}) =>
      ({ tenantId, params: { tenantId, ...params }, query, body, command: command(over) }) as never;
    return {
      set: (key: string, value: unknown, more: object = {}, over: Partial<CommandContext> = {}): Promise<any> =>
        settings.put(call({ key }, { value, ...more }, {}, over)),
      get: (key: string, query: object = {}): Promise<any> => settings.get(call({ key }, {}, query)),
      list: (query: object = {}): Promise<any> => settings.list(call({}, {}, query)),
      remove: (key: string): Promise<any> => settings.remove(call({ key })),
      feature: (flag: string, body: object): Promise<any> => features.put(call({ flag }, body)),
      resetFeature: (flag: string): Promise<any> => features.reset(call({ flag })),
      features: async (): Promise<any[]> => (await features.list(call())).body.items,
      isOn: async (flag: string, subject?: string): Promise<boolean> =>
        (await features.evaluate(call({ flag }, {}, { subject }))).body.enabled,
      versions: async (query: object = {}): Promise<any[]> => (await versions.list(call({}, {}, query))).body.items,
      diff: async (from: number, to: number): Promise<any[]> => (await versions.diff(call({ from, to }))).body.changes,
      rollBack: (version: number): Promise<any> => versions.rollBack(call({ version })),
      whole: (): Promise<any> => history.head(tenantId).then((head) => views.at(tenantId, head)),
      put: (body: object): Promise<any> => whole.put(call({}, body)),
      previewConfig: async (body: object): Promise<any> => (await whole.preview(call({}, body))).body,
      preview: async (body: object): Promise<any> => (await preview.handle(call({}, body))).body,
      suspend: (body: object): Promise<any> => life.suspend(call({}, body)),
      toStatus: (status: string): Promise<any> => life.set(call({ status }, {})),
      update: (body: object): Promise<any> => update.handle(call({}, body)),
      setPolicies: (items: ApprovalPolicy[], over: Partial<CommandContext> = {}): Promise<any> =>
        ofPolicies.put(call({}, { items }, {}, over)),
      policies: async (): Promise<any> => (await ofPolicies.get()).body.items,
      approval: async (approvalId: string): Promise<any> => (await decisions.get(call({ approvalId }))).body,
      approve: async (approvalId: string): Promise<any> => (await decisions.approve(call({ approvalId }, { reason: 'fine' }))).body,
      reject: async (approvalId: string): Promise<any> => (await decisions.reject(call({ approvalId }))).body,
    };
  };
  const demand = (...items: ApprovalPolicy[]) => log.transact(policies, { tenant: PLATFORM_LOG, command: system() }, setPolicies(items));
  const types = async () => (await log.readLog(tenantId, 0)).events.map(({ type }) => type);
  return { tenantId, log, clock, approved, demand, as, types, publish, meanwhile, force, own, ...as('ada') };
}

describe('sensitive settings', () => {
  it('are in clear for whoever asks for that and may have it', async () => {
    const { set, get, list, as } = await given();
    await set('smtp.password', 'hunter2', { encrypted: true });
    expect((await get('smtp.password')).body.value).toBe(MASKED);
    expect((await get('smtp.password', { reveal: 'true' })).body.value).toBe('hunter2');
    expect((await list({ reveal: 'true' })).body.items).toContainEqual(expect.objectContaining({ value: 'hunter2' }));
    const reader = as('reader', ['settings:*', 'personal:read']);
    await expect(reader.get('smtp.password', { reveal: 'true' })).rejects.toMatchObject({ code: 'auth.forbidden' });
  });
  it('are listed by category', async () => {
    const { list } = await given();
    const { body } = await list({ category: 'security' });
    expect(body.items.map(({ key }: any) => key).sort()).toEqual(['security_level', 'session_timeout_minutes']);
  });
  it('and others can be removed, but for those that the system reads', async () => {
    const { remove, get, types } = await given();
    expect((await remove('motto')).body).toEqual({ key: 'motto', removed: true });
    expect((await remove('motto')).body).toEqual({ key: 'motto', removed: false });
    await expect(get('motto')).rejects.toMatchObject({ code: 'settings.not_found' });
    await expect(remove('security_level')).rejects.toMatchObject({ code: 'request.invalid' });
    expect((await types()).filter((type) => type === 'SettingRemoved')).toHaveLength(1);
  });
});

describe('versions of the configuration', () => {
  it('are one for each request that changed something, newest first', async () => {
    const { set, feature, update, versions, diff } = await given();
    await set('motto', 'second');
    await set('motto', 'second');
    await set('timezone', 'Asia/Tokyo');
    await update({ name: 'Not a setting' });
    await feature('beta', { enabled: false });
    const all = await versions();
    expect(all.map(({ version }) => version)).toEqual([4, 3, 2, 1]);
    expect(all.slice(0, 3).map(({ changes }) => changes)).toEqual([
      [
        { path: 'features.beta.enabled', from: null, to: false },
        { path: 'features.beta.percentage', from: null, to: 100 },
      ],
      [{ path: 'settings.timezone', from: 'UTC', to: 'Asia/Tokyo' }],
      [{ path: 'settings.motto', from: 'first', to: 'second' }],
    ]);
    expect(all.map(({ actor }) => actor.id)).toEqual(['ada', 'ada', 'ada', 'test']);
    expect((await diff(1, 3)).map(({ path }) => path).sort()).toEqual(['settings.motto', 'settings.timezone']);
    await expect(diff(1, 9)).rejects.toMatchObject({ code: 'config_version.not_found' });
    expect((await versions({ limit: 2, cursor: '4' })).map(({ version }) => version)).toEqual([3, 2]);
  });

  it('can be gone back to, as a version more', async () => {
    const { set, get, remove, feature, features, rollBack, versions, diff, put } = await given();
    await set('api.token', 'one', { encrypted: true });
    await feature('beta', { enabled: true, percentage: 10 });
    await put({ settings: { motto: 'second', extra: 1, timezone: 'Asia/Tokyo' } });
    await set('api.token', 'two');
    await feature('beta', { enabled: false });
    await feature('gamma', { enabled: true });
    await remove('motto');
    const { body } = await rollBack(3);
    expect(body.version).toBe((await versions())[0].version);
    expect(await diff(3, body.version)).toEqual([]);
    expect((await get('motto')).body.value).toBe('first');
    expect((await get('timezone')).body.value).toBe('UTC');
    expect((await get('api.token', { reveal: 'true' })).body.value).toBe('one');
    await expect(get('extra')).rejects.toMatchObject({ code: 'settings.not_found' });
    expect((await features()).find(({ flag }) => flag === 'beta')).toMatchObject({ enabled: true, percentage: 10 });
    expect((await features()).find(({ flag }) => flag === 'gamma')).toBeUndefined();
    const count = (await versions()).length;
    await rollBack(3);
    expect(await versions()).toHaveLength(count);
  });
});

describe('the configuration as a whole', () => {
  it('is taken as it is read, and changes what differs', async () => {
    const { set, whole, put, types, get } = await given();
    await set('api.token', 'one', { encrypted: true, category: 'security' });
    const { body } = await whole();
    expect(body).toMatchObject({
      security: { 'api.token': MASKED, security_level: 'basic' },
      settings: { motto: 'first' },
      features: { beta: true },
    });
    const before = (await types()).length;
    expect((await put(body)).body).toEqual(body);
    expect(await types()).toHaveLength(before);
    const after = await put({
      ...body,
      name: 'Acme Two',
      security: { ...body.security, session_timeout_minutes: 5, mfa: true },
      settings: { ...body.settings, motto: null, locale: 'de-DE' },
      features: { beta: false },
    });
    expect(after.body).toMatchObject({ name: 'Acme Two', security: { session_timeout_minutes: 5, mfa: true }, features: { beta: false } });
    expect(after.body.settings).toMatchObject({ locale: 'de-DE' });
    expect(after.body.settings).not.toHaveProperty('motto');
    expect((await get('api.token', { reveal: 'true' })).body.value).toBe('one');
  });
  it.each([
    [{ region: 'mars' }, 'region'],
    [{ isolation: 'shared' }, 'isolation'],
    [{ quotas: { users: 1 } }, 'quotas.users'],
    [{ plan: 'business', tier: 'enterprise' }, 'tier'],
    [{ security: { session_timeout_minutes: 'long' } }, 'security.session_timeout_minutes'],
    [{ settings: { timezone: 'Mars/Olympus' } }, 'settings.timezone'],
    [{ settings: { security_level: null } }, 'key'],
  ])('%j is refused, naming the field', async (body, field) => {
    const { put } = await given();
    await expect(put(body)).rejects.toMatchObject({ errors: [expect.objectContaining({ field })] });
  });
  it('needs the permissions of its parts', async () => {
    const { as } = await given();
    await expect(as('x', ['settings:update']).put({ features: { beta: false }, plan: 'business' })).rejects.toMatchObject({
      errors: [{ field: 'features' }, { field: 'plan' }],
    });
  });
  it('can be looked at before: nothing is saved', async () => {
    const { previewConfig, types } = await given();
    const before = await types();
    const { changes, impacts } = await previewConfig({ settings: { motto: 'second' }, features: { beta: false } });
    expect(changes).toContainEqual({ path: 'settings.motto', from: 'first', to: 'second' });
    expect(changes).toContainEqual({ path: 'featureOverrides.beta.enabled', from: null, to: false });
    expect(impacts).toEqual([]);
    expect(await types()).toEqual(before);
  });
});

describe('the preview of another plan', () => {
  it('says what it costs, brings and takes', async () => {
    const { preview, update, types } = await given({ used: { users: 20 } });
    const up = await preview({ plan: 'business', name: 'Acme Two' });
    expect(up.changes).toEqual(
      expect.arrayContaining([
        { path: 'name', from: 'Acme', to: 'Acme Two' },
        { path: 'plan.id', from: 'free', to: 'business' },
        { path: 'settings.security_level', from: 'basic', to: 'advanced' },
      ]),
    );
    expect(up.impacts).toContainEqual({ kind: 'price', detail: 'A month costs 799.00 USD instead of 0.00 USD.' });
    expect(up.impacts).toContainEqual({ kind: 'feature_gained', detail: 'custom_domains is part of the plan business.' });
    expect(await types()).not.toContain('TenantPlanChanged');
    await update({ plan: 'business' });
    const down = await preview({ plan: 'free' });
    expect(down.impacts.map(({ kind }: any) => kind)).toEqual(expect.arrayContaining(['price', 'feature_lost', 'retention', 'security']));
  });
});

describe('an approval', () => {
  const byCategory = { categories: ['security' as const], approvers: 1, expiresHours: 1 };

  it('is waited for, and given by somebody else', async () => {
    const { demand, set, get, approve, approval, as, types } = await given();
    await demand(byCategory);
    const { status, body, location } = await set('session_timeout_minutes', 5);
    expect([status, body.approval.status, location]).toEqual([202, 'pending', `/api/v1/platform/approvals/${body.approval.id}`]);
    expect((await get('session_timeout_minutes')).body.value).toBe(1440);
    expect(await approval(body.approval.id)).toMatchObject({
      changes: [{ path: 'settings.session_timeout_minutes', from: 1440, to: 5 }],
      requestedBy: { id: 'ada' },
    });
    await expect(approve(body.approval.id)).rejects.toMatchObject({ code: 'approval.same_person' });
    expect(await as('bob').approve(body.approval.id)).toMatchObject({ status: 'applied', approvedBy: [{ id: 'bob' }], reason: 'fine' });
    expect((await get('session_timeout_minutes')).body.value).toBe(5);
    await as('bob').approve(body.approval.id);
    await expect(as('eve').reject(body.approval.id)).rejects.toMatchObject({ code: 'approval.not_pending' });
    expect((await types()).filter((type) => type === 'SettingChanged')).toHaveLength(1);
  });

  it('of as many people as the strictest policy asks for', async () => {
    const { demand, set, as } = await given();
    await demand(byCategory, { keys: ['session_timeout_minutes'], approvers: 2, expiresHours: 10 });
    const { body } = await set('session_timeout_minutes', 5);
    expect(body.approval.expiresAt).toBe('2026-01-01T01:00:00.000Z');
    expect(await as('bob').approve(body.approval.id)).toMatchObject({ status: 'pending' });
    expect(await as('bob').approve(body.approval.id)).toMatchObject({ status: 'pending', approvedBy: [{ id: 'bob' }] });
    expect(await as('eve').approve(body.approval.id)).toMatchObject({ status: 'applied' });
  });

  it('is not given by the same person with another key, nor twice by one', async () => {
    const { demand, as, get } = await given();
    await demand({ ...byCategory, approvers: 2 });
    const { body } = await as('key-1', ['*'], 'ada').set('session_timeout_minutes', 5);
    await expect(as('key-2', ['*'], 'ada').approve(body.approval.id)).rejects.toMatchObject({ code: 'approval.same_person' });
    await expect(as('key-2', ['*'], 'ada').reject(body.approval.id)).rejects.toMatchObject({ code: 'approval.same_person' });
    expect((await as('key-3', ['*'], 'bob').approve(body.approval.id)).status).toBe('pending');
    expect((await as('key-4', ['*'], 'bob').approve(body.approval.id)).status).toBe('pending');
    expect((await get('session_timeout_minutes')).body.value).toBe(1440);
    expect((await as('key-5', ['*'], 'eve').approve(body.approval.id)).status).toBe('applied');
  });

  it('is given by people who were named, where the policy says so', async () => {
    const { demand, as } = await given();
    await demand({ ...byCategory, named: true });
    const { body } = await as('key-1', ['*'], 'owner-1').set('session_timeout_minutes', 5);
    await expect(as('key-2', ['*'], 'key-2').approve(body.approval.id)).rejects.toMatchObject({ code: 'approval.not_named' });
    await expect(as('key-3', ['*'], 'owner-1').approve(body.approval.id)).rejects.toMatchObject({ code: 'approval.same_person' });
    expect((await as('key-4', ['*'], 'owner-2').approve(body.approval.id)).status).toBe('applied');
  });

  it('of another plan is of the version that was asked for', async () => {
    const { demand, update, as, approval, publish, log, tenantId } = await given();
    await demand({ commands: ['plan'], approvers: 1, expiresHours: 1 });
    const { body } = await update({ plan: 'business' });
    expect((await approval(body.approval.id)).changes).toContainEqual({ path: 'plan.version', from: null, to: 1 });
    publish(2);
    expect((await as('bob').approve(body.approval.id)).status).toBe('applied');
    expect((await log.load(tenant, { tenant: tenantId })).state).toMatchObject({ plan: { id: 'business', version: 1 } });
    expect((await as('bob').update({ plan: 'free' })).status).toBe(202);
  });

  it('is needed to ask for fewer of them', async () => {
    const { setPolicies: put, policies: get, as, approval } = await given();
    const strict = [{ ...byCategory, approvers: 2 }];
    expect((await put(strict)).status).toBe(200);
    const asked = await put([]);
    expect([asked.status, await get()]).toEqual([202, strict]);
    expect(await approval(asked.body.approval.id)).toMatchObject({ tenantId: null, approvers: 2, request: { items: [] } });
    await expect(as('ada').approve(asked.body.approval.id)).rejects.toMatchObject({ code: 'approval.same_person' });
    await as('bob').approve(asked.body.approval.id);
    expect((await as('eve').approve(asked.body.approval.id)).status).toBe('applied');
    expect(await get()).toEqual([]);
  });

  it('of fewer is of the policies that were looked at', async () => {
    const { setPolicies: put, policies: get, as } = await given();
    await put([byCategory]);
    const asked = await put([]);
    const stricter = [byCategory, { keys: ['token'], approvers: 3, expiresHours: 1 }];
    expect((await put(stricter)).status).toBe(200);
    expect(await as('bob').approve(asked.body.approval.id)).toMatchObject({ status: 'failed', error: { code: 'precondition.failed' } });
    expect(await get()).toEqual(stricter);
  });

  it('is not needed for what is so already, nor for what no policy speaks of', async () => {
    const { demand, set, feature } = await given();
    await demand(byCategory, { commands: ['features'], approvers: 1, expiresHours: 1 });
    expect((await set('session_timeout_minutes', 1440)).status).toBe(200);
    expect((await set('motto', 'second')).status).toBe(200);
    expect((await feature('beta', { enabled: false })).status).toBe(202);
  });

  it('is needed for what was so already when it was looked at, and is not any more', async () => {
    const { demand, meanwhile, force, set, get, put, feature, toStatus, own, clock, log, tenantId } = await given();
    const policy = { approvers: 1, expiresHours: 1 };
    await demand({ ...policy, keys: ['motto'] }, { ...policy, commands: ['features', 'suspend'] });
    const needed = { code: 'approval.needed' };
    const motto = (value: string) => () =>
      force({ settings: [{ key: 'motto', value: JSON.stringify(value), type: 'string', category: 'general', encrypted: false }] });
    const beta = (enabled: boolean) => () => force({ features: [{ flag: 'beta', enabled, percentage: 100, at: null }] });
    meanwhile(motto('theirs'));
    await expect(set('motto', 'first')).rejects.toMatchObject(needed);
    meanwhile(motto('first'));
    await expect(put({ settings: { motto: 'theirs' } })).rejects.toMatchObject(needed);
    expect((await get('motto')).body.value).toBe('first');
    await beta(true)();
    meanwhile(beta(false));
    await expect(feature('beta', { enabled: true })).rejects.toMatchObject(needed);
    await own(suspend({ cause: 'manual' }, clock.now()) as never);
    meanwhile(() => own(reactivate({ cause: 'manual' }, clock.now()) as never));
    await expect(toStatus('suspended')).rejects.toMatchObject(needed);
    expect((await log.load(tenant, { tenant: tenantId })).state.status).toBe('active');
  });

  it('holds whichever way the change comes', async () => {
    const { demand, set, put, rollBack, update, versions } = await given();
    await set('session_timeout_minutes', 5);
    await demand(byCategory, { commands: ['plan'], approvers: 1, expiresHours: 1 });
    expect((await put({ security: { session_timeout_minutes: 7 } })).status).toBe(202);
    expect((await rollBack(1)).status).toBe(202);
    expect((await update({ plan: 'business' })).status).toBe(202);
    expect((await update({ name: 'Free to change' })).status).toBe(200);
    expect(await versions()).toHaveLength(2);
  });

  it('of a plan, of contacts and of a removal are made as they were asked for', async () => {
    const { demand, update, remove, get, as, log, tenantId } = await given();
    await demand({ commands: ['plan', 'update', 'settings'], approvers: 1, expiresHours: 1 });
    const asked = [
      await update({ plan: 'business', billingEmail: null, adminEmail: 'a@acme.example', tags: ['x'] }),
      await remove('motto'),
    ];
    for (const { body } of asked) expect(await as('bob').approve(body.approval.id)).toMatchObject({ status: 'applied' });
    await expect(get('motto')).rejects.toMatchObject({ code: 'settings.not_found' });
    const { state } = await log.load(tenant, { tenant: tenantId });
    expect(state).toMatchObject({ plan: { id: 'business' }, tags: ['x'], adminEmail: { enc: expect.any(String) } });
    expect(state).not.toHaveProperty('billingEmail', expect.anything());
  });

  it('of a suspension is carried out as it was asked for', async () => {
    const { demand, suspend, toStatus, as, approval, log, tenantId } = await given();
    await demand({ commands: ['suspend'], approvers: 1, expiresHours: 1 });
    const asked = await suspend({ reason: 'did not pay', cause: 'payment' });
    expect(asked).toMatchObject({ status: 202, body: { approval: { status: 'pending' } } });
    expect((await toStatus('suspended')).status).toBe(202);
    expect(await as('bob').approve(asked.body.approval.id)).toMatchObject({ status: 'applied', command: 'suspend' });
    const { state, events } = await log.load(tenant, { tenant: tenantId });
    expect(state).toMatchObject({ status: 'suspended', statusCause: 'payment', statusReason: { enc: expect.any(String) } });
    expect(events.at(-1)?.metadata.actor).toEqual({ kind: 'staff', id: 'ada' });
    expect((await approval(asked.body.approval.id)).status).toBe('applied');
    expect((await suspend({})).status).toBe(200);
  });

  it('is refused, or comes too late', async () => {
    const { demand, set, get, as, clock } = await given();
    await demand(byCategory);
    const [first, second] = [await set('session_timeout_minutes', 5), await set('session_timeout_minutes', 6)];
    await expect(as('ada').reject(first.body.approval.id)).rejects.toMatchObject({ code: 'approval.same_person' });
    expect(await as('bob').reject(first.body.approval.id)).toMatchObject({ status: 'rejected', rejectedBy: { id: 'bob' } });
    await expect(as('eve').approve(first.body.approval.id)).rejects.toMatchObject({ code: 'approval.not_pending' });
    clock.advance(3_600_000);
    await expect(as('bob').approve(second.body.approval.id)).rejects.toMatchObject({ code: 'approval.not_pending' });
    expect((await get('session_timeout_minutes')).body.value).toBe(1440);
  });

  it('of a change that was asked for on another version than there is fails, and changes nothing', async () => {
    const { demand, set, get, as } = await given();
    const { version } = await set('motto', 'second');
    await demand(byCategory);
    const { body } = await set('session_timeout_minutes', 5, {}, { ifMatch: version });
    await expect(set('session_timeout_minutes', 6, {}, { ifMatch: version - 1 })).rejects.toMatchObject({ code: 'precondition.failed' });
    await set('motto', 'third');
    expect(await as('bob').approve(body.approval.id)).toMatchObject({ status: 'failed', error: { code: 'precondition.failed' } });
    expect((await get('session_timeout_minutes')).body.value).toBe(1440);
  });

  it('is made once, also where it is tried again after every crash', async () => {
    const { demand, set, as, approved, tenantId, types } = await given();
    await demand(byCategory);
    const { body } = await set('session_timeout_minutes', 5);
    const stopped = approved.make;
    approved.make = async () => {
      throw new Error('the process died here');
    };
    expect(await as('bob').approve(body.approval.id)).toMatchObject({ status: 'approved' });
    approved.make = stopped;
    await Promise.all([approved.make(tenantId, body.approval.id), approved.make(tenantId, body.approval.id)]);
    await approved.make(tenantId, body.approval.id);
    expect((await types()).filter((type) => type === 'SettingChanged' || type === 'ApprovalApplied')).toEqual([
      'SettingChanged',
      'ApprovalApplied',
    ]);
  });

  it('doesn’t show sensitive values', async () => {
    const { demand, set, approval } = await given();
    await set('token', 'one');
    await demand({ keys: ['token'], approvers: 1, expiresHours: 1 });
    const { body } = await set('token', 'two', { encrypted: true });
    expect((await approval(body.approval.id)).changes).toEqual([{ path: 'settings.token', from: MASKED, to: MASKED }]);
  });
});

describe('feature flags', () => {
  it('come from the plan until they are set', async () => {
    const { features, feature, resetFeature, update, isOn } = await given();
    expect(await features()).toEqual([expect.objectContaining({ flag: 'beta', enabled: true, source: 'override' })]);
    await update({ plan: 'business' });
    expect((await features()).find(({ flag }) => flag === 'custom_domains')).toMatchObject({ enabled: true, source: 'plan', at: null });
    await feature('custom_domains', { enabled: false });
    expect(await isOn('custom_domains')).toBe(false);
    expect((await resetFeature('custom_domains')).body).toMatchObject({ enabled: true, source: 'plan' });
    expect(await isOn('custom_domains')).toBe(true);
    expect(await isOn('nobody.knows')).toBe(false);
  });

  it('can be scheduled, and hold from that instant on', async () => {
    const { feature, features, isOn, clock, resetFeature } = await given();
    const at = '2026-01-01T00:10:00.000Z';
    const { body } = await feature('launch', { enabled: true, percentage: 100, at });
    expect(body).toMatchObject({ enabled: false, at, scheduled: { enabled: true, percentage: 100 } });
    clock.advance(599_999);
    expect(await isOn('launch')).toBe(false);
    clock.advance(1);
    expect(await isOn('launch')).toBe(true);
    expect((await features()).find(({ flag }) => flag === 'launch')).toMatchObject({ enabled: true, at: null, scheduled: null });
    await feature('other', { enabled: true, at: '2026-01-02T00:00:00Z' });
    expect((await resetFeature('other')).body).toMatchObject({ enabled: false, at: null });
  });
});
