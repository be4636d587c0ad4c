import { type RegionalSetting, regionalSettings } from '@tenantry/contracts/config/known-settings';
import type { Personal } from '@tenantry/contracts/events';
import type { SettingRecord } from '../config/config.js';
import type { RegisteredTenant } from '../tenant/tenant.js';
import type { Snapshot } from './snapshot.js';

/** A value that not everybody may see, as it is stored. */
export class Sealed {
  constructor(
    /** `setting`, `secret`: a setting's value as JSON text, a secret one never to be shown. `personal`: text. */
    readonly kind: 'personal' | 'setting' | 'secret',
    readonly value: Personal,
  ) {}
}

/** JSON in which `Sealed` values are leaves. */
export type Node = string | number | boolean | null | undefined | Sealed | Node[] | { [name: string]: Node };
export type Document = { [name: string]: Node };

const personal = (value: Personal | undefined): Node => (value === undefined ? null : new Sealed('personal', value));

/** What a change is a change of: everything in a snapshot that people would call a property of the tenant. */
export function documentOf({ tenant, config, ...rest }: Snapshot): Document {
  if (tenant.status === 'none') return {};
  return {
    ...ofTenant(tenant),
    settings: {
      ...mapped(config.settings, sealedSetting),
      ...(config.initialized ? mapped(regionalSettings, (_, key) => tenant[key as RegionalSetting]) : {}),
    },
    featureOverrides: mapped(config.features, ({ enabled, percentage }) => ({ enabled, percentage })),
    featureSchedules: mapped(config.schedules, ({ enabled, percentage, at }) => ({ enabled, percentage, at })),
    settingTypes: mapped(config.settings, ({ type, category, encrypted }) => ({ type, category, encrypted })),
    quotas: mapped(rest.quotas, ({ limit, source }) => ({ limit, source })),
    retentionDays: rest.retentionDays,
    subscription: rest.subscription && { ...rest.subscription, billingEmail: personal(rest.subscription.billingEmail) },
    domains: mapped(rest.domains, (domain) => ({ ...domain })),
    placement: rest.placement.placed ? placeOf(rest.placement) : null,
    members: mapped(rest.members, ({ email, role, status }) => ({ email: personal(email), role, status })),
    eventSubscriptions: mapped(rest.eventSubscriptions, ({ name, ...subscriber }) => ({ name: personal(name), ...subscriber })),
    apiKeys: mapped(rest.apiKeys, ({ name, permissions, status }) => ({ name: personal(name), permissions, status })),
  };
}

const ofTenant = (tenant: RegisteredTenant): Document => ({
  name: tenant.name,
  slug: tenant.slug,
  status: tenant.status,
  // What has no cause, why it failed, is the system's own words.
  statusReason:
    tenant.statusReason === null || tenant.statusCause === null
      ? ((tenant.statusReason as string | null) ?? tenant.statusCause)
      : personal(tenant.statusReason),
  statusCause: tenant.statusCause,
  plan: { id: tenant.plan.id, version: tenant.plan.version },
  priority: tenant.priority,
  isolation: tenant.isolation,
  region: tenant.region,
  domain: tenant.domain.host,
  adminEmail: personal(tenant.adminEmail),
  billingEmail: personal(tenant.billingEmail),
  contactPhone: personal(tenant.contactPhone),
  timezone: tenant.timezone,
  locale: tenant.locale,
  language: tenant.language,
  currency: tenant.currency,
  theme: tenant.theme,
  tags: tenant.tags,
  features: tenant.features,
  activation: tenant.activation,
  deletion: tenant.deletion && {
    ...{ graceEndsAt: tenant.deletion.graceEndsAt, erasing: tenant.deletion.erasing, winBack: tenant.deletion.winBack },
    feedback: tenant.deletion.feedback
      ? { category: tenant.deletion.feedback.category, text: personal(tenant.deletion.feedback.text) }
      : null,
  },
  legalHold: tenant.legalHold !== null,
  scheduledTransitions: mapped(tenant.scheduled, ({ command, at, reason }) => ({ command, at, reason: personal(reason) })),
});

/** The part that has versions of its own: settings, with the tenant's fields that are settings too, and flags that were set. */
export function configDocumentOf({ tenant, config }: Pick<Snapshot, 'tenant' | 'config'>): Document {
  if (!config.initialized || tenant.status === 'none') return {};
  return {
    settings: { ...mapped(config.settings, sealedSetting), ...mapped(regionalSettings, (_, key) => tenant[key as RegionalSetting]) },
    settingTypes: mapped(config.settings, ({ type, category, encrypted }) => ({ type, category, encrypted })),
    features: mapped(config.features, ({ enabled, percentage }) => ({ enabled, percentage })),
  };
}

const sealedSetting = ({ value, encrypted }: SettingRecord): Node => new Sealed(encrypted ? 'secret' : 'setting', value);

const placeOf = ({ placed: _, moving: __, ...place }: Extract<Snapshot['placement'], { placed: true }>): Document => place;

const mapped = <T>(record: Record<string, T>, to: (value: T, key: string) => Node): Document =>
  Object.fromEntries(Object.entries(record).map(([key, value]) => [key, to(value, key)]));
