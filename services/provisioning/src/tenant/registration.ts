import { isRegional, knownSettings, type RegionalSetting } from '@tenantry/contracts/config/known-settings';
import { canonicalPlan, type PlanSnapshot, type PlanTerms } from '@tenantry/contracts/plans';
import { limitInUnits } from '@tenantry/contracts/quota/limits';
import type { CreateTenantBody } from '@tenantry/contracts/tenant/bodies';
import { settingFor, within } from '../config/setting-input.js';
import type { Registration } from './tenant.js';

/** What a body asks for, with the defaults filled in, before names are reserved. */
export type Draft = Omit<Registration, 'operationId' | 'slug' | 'domain' | 'plan' | 'priority' | 'registeredAt'> & {
  plan: { id: string; trialDays: number };
  priority: number | null;
  slug: string | null;
  domain: NonNullable<CreateTenantBody['domain']> | null;
};

const DEFAULT_TRIAL_DAYS = 14;
const priorities = { low: 10, normal: 30, high: 60, critical: 90 };

function limits(body: CreateTenantBody): Record<string, number | null> {
  const entries = (['resources', 'limits'] as const).flatMap((path) =>
    Object.entries(body[path] ?? {}).map(([resource, input]) => [resource, limitInUnits(path, resource, input)] as const),
  );
  return Object.fromEntries(entries);
}

/** The category that settings named there have, unless the system knows them: those have theirs. */
const parts = { settings: 'general', security: 'security', notifications: 'notifications' } as const;

function settings(body: CreateTenantBody): Registration['settings'] {
  const given = (Object.keys(parts) as (keyof typeof parts)[]).flatMap((part) =>
    Object.entries(body[part] ?? {}).flatMap(([key, value]) => {
      if (isRegional(key)) return [];
      const category = Object.hasOwn(knownSettings, key) ? undefined : parts[part];
      return [within(`${part}.${key}`, () => settingFor(key, { value, category }, null))];
    }),
  );
  return given.map(({ key, value, type, category }) => ({ key, value, type, category }));
}

/** Regional settings are fields of the tenant, also where they are named among the settings. */
function regional(body: CreateTenantBody): Partial<Record<RegionalSetting, string>> {
  const given = (Object.keys(parts) as (keyof typeof parts)[]).flatMap((part) =>
    Object.entries(body[part] ?? {}).flatMap(([key, value]) => {
      if (!isRegional(key)) return [];
      return [[key, JSON.parse(within(`${part}.${key}`, () => settingFor(key, { value }, null)).value) as string] as const];
    }),
  );
  return Object.fromEntries(given);
}

/**
 * Defaults: plan free, dedicated, UTC, en-US, USD. The nested form counts where the flat one says nothing, then the settings.
 * @throws DomainError `request.invalid` naming a limit or a setting
 */
export function draft(body: CreateTenantBody): Draft {
  const plan = typeof body.plan === 'string' ? { id: body.plan } : (body.plan ?? { id: 'free' });
  const trial = 'trial' in plan && plan.trial !== false && (plan.trial || plan.duration !== undefined);
  const nested = { ...regional(body), ...body.configuration };
  const locale = body.locale ?? nested.locale ?? 'en-US';
  return {
    name: body.name.trim(),
    slug: body.slug ?? null,
    domain: body.domain ?? null,
    plan: { id: canonicalPlan(plan.id), trialDays: trial ? (('duration' in plan ? plan.duration : undefined) ?? DEFAULT_TRIAL_DAYS) : 0 },
    priority: typeof body.priority === 'string' ? priorities[body.priority] : (body.priority ?? null),
    isolation: body.isolation ?? 'dedicated',
    region: body.region ?? 'default',
    activation: body.activation ?? 'automatic',
    timezone: body.timezone ?? nested.timezone ?? 'UTC',
    locale,
    language: body.language ?? nested.language ?? (locale.split('-')[0] as string),
    currency: body.currency ?? nested.currency ?? 'USD',
    theme: body.theme ?? nested.theme ?? 'default',
    adminEmail: body.adminEmail,
    billingEmail: body.billingEmail,
    contactPhone: body.contactPhone,
    limits: limits(body),
    features: body.features ?? {},
    settings: settings(body),
    tags: [...new Set(body.tags ?? [])],
    parentId: body.parentId,
  };
}

/** The draft with everything that had to be looked up or reserved. */
export function registration(
  from: Draft,
  found: {
    operationId: string;
    slug: string;
    domain: Registration['domain'];
    plan: PlanTerms & { id: string; version: number };
    now: string;
  },
): Registration {
  const plan: PlanSnapshot = { ...found.plan, trialDays: from.plan.trialDays };
  return {
    ...from,
    operationId: found.operationId,
    slug: found.slug,
    domain: found.domain,
    plan,
    priority: from.priority ?? plan.priority,
    features: { ...Object.fromEntries(plan.features.map((feature) => [feature, true])), ...from.features },
    registeredAt: found.now,
  };
}
