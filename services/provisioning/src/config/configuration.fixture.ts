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
import { activate } from '../tenant/transitions.js';
import { TransitionsRpc } from '../tenant/transitions.rpc.js';
import { UpdateTenantRpc } from '../tenant/update-tenant.rpc.js';
import { type ClearChange, nothingChanged } from './change.js';
import { config, initialize } from './config.js';
import { ConfigChanges } from './config-changes.js';
import { ConfigVersions } from './config-versions.js';
import { ConfigVersionsRpc } from './config-versions.rpc.js';
import { initialSettings } from './initial-settings.js';
import { PutConfigRpc } from './put-config.rpc.js';
import { SettingsRpc } from './settings.rpc.js';

const plan = (id: (typeof planIds)[number]): PlanSnapshot => ({ ...shippedPlans[id], id, version: 1, trialDays: 0 });
const system = () => ({ id: newId(), actor: { kind: 'service' as const, id: 'test' } });

/** For specs: a tenant of its own in a log in memory, and the requests about its configuration, by the handlers that serve them. */
export async function given({ used = {} }: { used?: Record<string, number> } = {}) {
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
