import type { AnyEvent } from '@tenantry/contracts/catalogue';
import { isRegional } from '@tenantry/contracts/config/known-settings';
import type { Personal, Stored, StoredEvent } from '@tenantry/contracts/events';
import type { TenantAt } from '@tenantry/contracts/tenant/bodies';
import { type Config, config } from '../config/config.js';
import { type PlacementState, placement } from '../placement/placement.js';
import { type Tenant, tenant } from '../tenant/tenant.js';

type Quota = Omit<NonNullable<TenantAt['quotas']>[number], 'resource'>;
type Subscription = NonNullable<TenantAt['subscription']> & { billingEmail?: Personal };
type Domain = Omit<NonNullable<TenantAt['domains']>[number], 'host'>;

interface EventSubscription {
  name: Personal;
  contexts: 'all' | string[];
  types: string[] | null;
  status: 'active' | 'paused' | 'revoked';
}

/** Everything that a tenant's log says of it up to a moment. What is the tenant's own is folded by the rules that its commands use. */
export interface Snapshot {
  /** Of the last event that was folded; -1 before the first. */
  position: number;
  tenant: Tenant;
  /** Of the stream `tenant`: what the tenant's own ETag and position are. */
  tenantVersion: number;
  tenantPosition: number;
  /** When each field that is a setting too was changed last. */
  regionalChanges: Record<string, string>;
  config: Config;
  placement: PlacementState;
  quotas: Record<string, Quota>;
  retentionDays: number | null;
  subscription: Subscription | null;
  /** By host name. */
  domains: Record<string, Domain>;
  members: Record<string, { email: Personal; role: string; status: 'invited' | 'removed' }>;
  apiKeys: Record<string, { name: Personal; permissions: string[]; status: 'active' | 'revoked' }>;
  eventSubscriptions: Record<string, EventSubscription>;
}

export const nothing: Snapshot = {
  position: -1,
  tenant: tenant.initial,
  tenantVersion: -1,
  tenantPosition: -1,
  regionalChanges: {},
  config: config.initial,
  placement: placement.initial,
  quotas: {},
  retentionDays: null,
  subscription: null,
  domains: {},
  members: {},
  apiKeys: {},
  eventSubscriptions: {},
};

type Fold = { [T in AnyEvent['type']]?: (before: Snapshot, event: Stored<Extract<AnyEvent, { type: T }>>) => Partial<Snapshot> };

const ofTenant = (before: Snapshot, event: Stored<AnyEvent>): Partial<Snapshot> => ({
  tenant: tenant.evolve(before.tenant, event as Parameters<typeof tenant.evolve>[1]),
  tenantVersion: event.streamVersion,
  tenantPosition: event.position,
});
const ofConfig = (before: Snapshot, event: Stored<AnyEvent>) => ({
  config: config.evolve(before.config, event as Parameters<typeof config.evolve>[1]),
});
const ofPlacement = (before: Snapshot, event: Stored<AnyEvent>) => ({
  placement: placement.evolve(before.placement, event as Parameters<typeof placement.evolve>[1]),
});
const limits = (data: { retentionDays: number; quotas: ({ resource: string } & Quota)[] }) => ({
  retentionDays: data.retentionDays,
  quotas: Object.fromEntries(data.quotas.map(({ resource, limit, source }) => [resource, { limit, source }])),
});
const subscriptionIs = ({ subscription }: Snapshot, change: Partial<Subscription>) => ({
  subscription: subscription && { ...subscription, ...change },
});
const domainIs = ({ domains }: Snapshot, { host }: { host: string }, change: Partial<Domain>) => ({
  domains: { ...domains, [host]: { ...(domains[host] as Domain), ...change } },
});

const subscriberIs =
  (status: EventSubscription['status']) =>
  ({ eventSubscriptions }: Snapshot, { data: { subscriptionId } }: { data: { subscriptionId: string } }): Partial<Snapshot> => {
    const subscriber = eventSubscriptions[subscriptionId];
    return subscriber ? { eventSubscriptions: { ...eventSubscriptions, [subscriptionId]: { ...subscriber, status } } } : {};
  };

const folds: Fold = {
  TenantRegistered: ofTenant,
  RegistrationAbandoned: ofTenant,
  TenantUpdated: (before, event) => {
    const changed = Object.keys(event.data).filter(isRegional);
    return {
      ...ofTenant(before, event),
      regionalChanges: { ...before.regionalChanges, ...Object.fromEntries(changed.map((key) => [key, event.recordedAt])) },
    };
  },
  TenantProvisioned: ofTenant,
  TenantActivated: ofTenant,
  TenantSuspended: ofTenant,
  TenantReactivated: ofTenant,
  TenantTrialEnded: ofTenant,
  TenantArchived: ofTenant,
  TenantRestored: ofTenant,
  TenantDeletionScheduled: ofTenant,
  TenantDeletionCancelled: ofTenant,
  TenantErasureStarted: ofTenant,
  TenantErased: ofTenant,
  LegalHoldPlaced: ofTenant,
  LegalHoldReleased: ofTenant,
  TransitionScheduled: ofTenant,
  TransitionUnscheduled: ofTenant,
  TransitionEnded: ofTenant,
  TenantMoved: ofTenant,
  TenantPlanChanged: ofTenant,
  TenantProvisioningFailed: ofTenant,
  TenantProvisioningRetried: ofTenant,
  SettingsInitialized: ofConfig,
  SettingChanged: ofConfig,
  SettingRemoved: ofConfig,
  FeatureChanged: ofConfig,
  FeatureReset: ofConfig,
  FeatureScheduled: ofConfig,
  FeatureScheduleCancelled: ofConfig,
  TenantPlaced: ofPlacement,
  TenantUnplaced: ofPlacement,
  TenantMoveStarted: ofPlacement,
  TenantMoveEnded: ofPlacement,
  QuotasAssigned: (_before, { data }) => limits(data),
  QuotasChanged: (_before, { data }) => limits(data),
  LimitsChanged: ({ retentionDays }, { data: { quotas } }) => ({ ...limits({ retentionDays: 0, quotas }), retentionDays }),
  QuotasWithdrawn: () => ({ quotas: {}, retentionDays: null }),
  SubscriptionOpened: (_before, { data: { plan, priceMinor, currency, trialEndsAt, billingEmail } }) => ({
    subscription: { status: trialEndsAt === null ? 'active' : 'trialing', plan, priceMinor, currency, trialEndsAt, billingEmail },
  }),
  SubscriptionPlanChanged: (before, { data: { plan, priceMinor, currency } }) => subscriptionIs(before, { plan, priceMinor, currency }),
  TrialEnded: (before, { data }) => subscriptionIs(before, { status: 'active', trialEndsAt: data.endedAt }),
  SubscriptionCancelled: (before) => subscriptionIs(before, { status: 'cancelled' }),
  DomainClaimed: (before, { data }) =>
    domainIs(before, data, { type: 'subdomain', status: 'active', primary: data.primary, ssl: data.ssl }),
  CustomDomainRegistered: (before, { data }) =>
    domainIs(before, data, { type: 'custom', status: 'pending', primary: data.primary, ssl: data.ssl }),
  DomainReleased: (before, { data }) => (before.domains[data.host] ? domainIs(before, data, { status: 'released' }) : {}),
  MemberInvited: ({ members }, { data: { memberId, email, role } }) => ({
    members: { ...members, [memberId]: { email, role, status: 'invited' } },
  }),
  MemberRemoved: ({ members }, { data: { memberId } }) => {
    const member = members[memberId];
    return member ? { members: { ...members, [memberId]: { ...member, status: 'removed' } } } : {};
  },
  ApiKeyCreated: ({ apiKeys }, { data: { keyId, name, permissions } }) => ({
    apiKeys: { ...apiKeys, [keyId]: { name, permissions, status: 'active' } },
  }),
  ApiKeyRevoked: ({ apiKeys }, { data: { keyId } }) => {
    const key = apiKeys[keyId];
    return key ? { apiKeys: { ...apiKeys, [keyId]: { ...key, status: 'revoked' } } } : {};
  },
  EventSubscriptionCreated: ({ eventSubscriptions }, { data: { subscriptionId, name, contexts, types } }) => ({
    eventSubscriptions: { ...eventSubscriptions, [subscriptionId]: { name, contexts, types, status: 'active' } },
  }),
  EventSubscriptionPaused: subscriberIs('paused'),
  EventSubscriptionResumed: subscriberIs('active'),
  EventSubscriptionRevoked: subscriberIs('revoked'),
};

/** The types that a snapshot follows from; all others change nothing that is shown. */
export const snapshotTypes: readonly string[] = Object.keys(folds);

/** Pure; never rejects. */
export function after(before: Snapshot, event: StoredEvent): Snapshot {
  const step = Object.hasOwn(folds, event.type) ? (folds[event.type as AnyEvent['type']] as Fold['TenantRegistered']) : undefined;
  return { ...before, ...step?.(before, event as Parameters<typeof step>[1]), position: event.position };
}
