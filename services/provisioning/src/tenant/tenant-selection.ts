import { Injectable } from '@nestjs/common';
import type { TenantFilter } from '@tenantry/contracts/tenant/bodies';
import { Database } from '@tenantry/service/database';
import { and, asc, inArray, ne } from 'drizzle-orm';
import { tenantsThat } from './tenant-filter.js';
import { tenants } from './tenant-list.projection.js';

/** `unknown`: ids that were named, and that no tenant has. */
interface Selection {
  tenantIds: string[];
  unknown: string[];
}
const SAMPLE = 10;

/** From what names many tenants to their ids, oldest tenant first. */
@Injectable()
export class TenantSelection {
  constructor(private readonly database: Database) {}

  /** What is deleted is meant only where the filter's status says so. */
  async matching(filter: TenantFilter): Promise<Selection> {
    const where = [...tenantsThat(filter), ...(filter.status === undefined ? [ne(tenants.status, 'deleted')] : [])];
    const rows = await this.database.db
      .select({ id: tenants.tenantId })
      .from(tenants)
      .where(and(...where))
      .orderBy(asc(tenants.createdAt), asc(tenants.tenantId));
    return { tenantIds: rows.map(({ id }) => id), unknown: [] };
  }

  async named(tenantIds: readonly string[]): Promise<Selection> {
    const wanted = [...new Set(tenantIds)];
    const rows = await this.database.db.select({ id: tenants.tenantId }).from(tenants).where(inArray(tenants.tenantId, wanted));
    const known = new Set(rows.map(({ id }) => id));
    return { tenantIds: wanted.filter((id) => known.has(id)), unknown: wanted.filter((id) => !known.has(id)) };
  }

  /** The first ones, for a person to see whether it is what he meant. */
  async sample(tenantIds: readonly string[]) {
    const first = tenantIds.slice(0, SAMPLE);
    if (first.length === 0) return [];
    const { tenantId: id, name, slug, status, plan } = tenants;
    const rows = await this.database.db.select({ id, name, slug, status, plan }).from(tenants).where(inArray(id, first));
    return first.flatMap((wanted) => rows.filter((row) => row.id === wanted));
  }
}
