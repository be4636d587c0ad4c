import type { RegionalSetting } from '@tenantry/contracts/config/known-settings';
import { isRegional, regionalSettings } from '@tenantry/contracts/config/known-settings';
import type { FieldError } from '@tenantry/contracts/errors';
import { canonicalPlan } from '@tenantry/contracts/plans';
import type { TenantConfig } from '@tenantry/contracts/tenant/bodies';
import type { PutConfigBody } from '@tenantry/contracts/tenant/config-routes';
import { fieldErrors, invalid } from '@tenantry/service/validation';
import type { z } from 'zod';
import { type ClearChange, nothingChanged } from './change.js';
import type { Config, StoredSetting } from './config.js';
import { MASKED, settingFor, within } from './setting-input.js';

type Current = z.infer<typeof TenantConfig>;
/** What is not known of any tenant yet: a body that is refused on it is refused for all. */
export const unknownConfig: Current = {
  ...{ tenantId: '', name: '', plan: { id: '', version: 0 }, tier: '', region: '', isolation: 'shared' },
  ...{ quotas: {}, security: {}, settings: {}, features: {} },
};
type Values = NonNullable<PutConfigBody['settings']>;

/** What the body says of things that are changed elsewhere: it may name them as they are. */
const elsewhere: { field: 'tenantId' | 'region' | 'isolation'; remedy: string }[] = [
  { field: 'tenantId', remedy: 'a tenant keeps its id' },
  { field: 'region', remedy: 'a tenant comes to another region by a move: POST …/moves' },
  { field: 'isolation', remedy: 'the isolation of a tenant is changed by a move: POST …/moves' },
];

/**
 * The change that makes a configuration as the body has it. The mask of a sensitive value stands for the value that there is.
 * @throws DomainError `request.invalid` with every fault
 */
export function configChangeOf(body: PutConfigBody, current: Current, { settings: stored }: Config): ClearChange {
  const faults: FieldError[] = [];
  const fault = (field: string, rule: string, message: string) => faults.push({ field, rule, message });
  for (const { field, remedy } of elsewhere)
    if (body[field] !== undefined && body[field] !== current[field])
      fault(field, 'fixed', `must be ${current[field]}, as it is, or be left out: ${remedy}`);
  for (const [resource, limit] of Object.entries(body.quotas ?? {}))
    if (limit !== (Object.hasOwn(current.quotas, resource) ? current.quotas[resource] : undefined))
      fault(`quotas.${resource}`, 'fixed', 'must be as it is, or be left out: limits are set by PUT …/limits');
  const change: ClearChange = { ...nothingChanged, settings: [], removed: [], features: [], tenant: {} };
  const plan = planOf(body, current, fault);
  if (plan !== undefined) change.tenant.plan = plan;
  if (body.name !== undefined) change.tenant.name = body.name.trim();
  for (const part of ['security', 'settings'] as const) settingsOf(part, body[part] ?? {}, stored, change, fault);
  for (const [flag, wanted] of Object.entries(body.features ?? {})) {
    const { enabled, percentage } = typeof wanted === 'boolean' ? { enabled: wanted, percentage: undefined } : wanted;
    // As it is read it changes nothing, whatever the percentage is.
    const isSo = percentage === undefined && Object.hasOwn(current.features, flag) && current.features[flag] === enabled;
    if (!isSo) change.features.push({ flag, enabled, percentage: percentage ?? 100, at: null });
  }
  if (faults.length > 0) throw invalid(faults);
  return change;
}

type Fault = (field: string, rule: string, message: string) => unknown;

function planOf({ plan, tier }: PutConfigBody, current: Current, fault: Fault): string | undefined {
  const wanted = plan === undefined ? undefined : canonicalPlan(typeof plan === 'string' ? plan : plan.id);
  if (typeof plan === 'object' && wanted === current.plan.id && plan.version !== undefined && plan.version !== current.plan.version)
    fault('plan.version', 'fixed', `must be ${current.plan.version}, as it is, or be left out`);
  // One tier may stand for several plans: as it is read it changes nothing.
  const byTier = tier === undefined || tier === current.tier ? undefined : canonicalPlan(tier);
  if (wanted !== undefined && byTier !== undefined && wanted !== byTier)
    fault('tier', 'contradiction', 'must be the same plan as plan names, or be left out');
  return wanted === current.plan.id ? undefined : (wanted ?? byTier);
}

function settingsOf(part: 'security' | 'settings', values: Values, stored: Config['settings'], change: ClearChange, fault: Fault): void {
  for (const [key, value] of Object.entries(values)) {
    const before = Object.hasOwn(stored, key) ? (stored[key] as StoredSetting) : null;
    if (change.settings.some((one) => one.key === key)) fault(`${part}.${key}`, 'twice', 'must be named once: in security or in settings');
    else if (before?.encrypted && value === MASKED) continue;
    else if (value === null && before?.type !== 'json') {
      if (isRegional(key)) fault(`${part}.${key}`, 'fixed', "can't be removed; give it another value");
      else change.removed.push({ key });
    } else if (isRegional(key)) regional(part, key, value, change);
    else change.settings.push(within(`${part}.${key}`, () => settingFor(key, { value, category: categoryOf(part, before) }, before)));
  }
}

/** A new setting of the part `security` is of that category; one that exists stays where it is. */
const categoryOf = (part: 'security' | 'settings', before: StoredSetting | null) =>
  part === 'security' && (before === null || before.category === 'security') ? ('security' as const) : undefined;

function regional(part: string, key: RegionalSetting, value: unknown, change: ClearChange): void {
  const result = regionalSettings[key].value.safeParse(value);
  if (!result.success) throw invalid(fieldErrors(result.error, [part, key]));
  change.tenant[key] = value as string;
}
