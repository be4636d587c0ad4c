import { canonicalPlan } from '@tenantry/contracts/plans';
import type { TenantFilter } from '@tenantry/contracts/tenant/bodies';
import { eq, ilike, or, type SQL, sql } from 'drizzle-orm';
import { tenants } from './tenant-list.projection.js';

const like = (text: string) => `%${text.replace(/[\\%_]/g, '\\$&')}%`;

/** The conditions of a filter on the rows of the list. */
export function tenantsThat(filter: TenantFilter): SQL[] {
  const found: (SQL | undefined | '' | null)[] = [
    filter.status && eq(tenants.status, filter.status === 'inactive' ? 'archived' : filter.status),
    filter.tier && eq(tenants.plan, canonicalPlan(filter.tier)),
    filter.region && eq(tenants.region, filter.region),
    filter.isolation && eq(tenants.isolation, filter.isolation),
    filter.tag && sql`${tenants.tags} @> ${JSON.stringify([filter.tag])}::jsonb`,
    filter.parentId && eq(tenants.parentId, filter.parentId),
    filter.q && or(...[tenants.name, tenants.slug, tenants.domain].map((column) => ilike(column, like(filter.q as string)))),
  ];
  return found.filter((condition): condition is SQL => Boolean(condition));
}
