import { canonicalPlan } from '@tenantry/contracts/plans';
import type { UpdateTenantBody } from '@tenantry/contracts/tenant/bodies';
import { type ClearChange, nothingChanged } from '../config/change.js';

/** What a PUT of the tenant asks for, as a change. */
export function tenantChangeOf({ plan, ...fields }: UpdateTenantBody): ClearChange {
  const name = fields.name?.trim();
  const planId = plan === undefined ? undefined : canonicalPlan(typeof plan === 'string' ? plan : plan.id);
  const tags = fields.tags && [...new Set(fields.tags)];
  const given = Object.entries({ ...fields, tags, name, plan: planId }).filter(([, value]) => value !== undefined);
  return { ...nothingChanged, tenant: Object.fromEntries(given) };
}
