import { Controller } from '@nestjs/common';
import { invalidField } from '@tenantry/contracts/errors';
import type { TenantListItem } from '@tenantry/contracts/tenant/bodies';
import { listTenants } from '@tenantry/contracts/tenant/routes';
import { Handles } from '@tenantry/messaging/handles';
import type { Call, Reply } from '@tenantry/messaging/rpc';
import { Database } from '@tenantry/service/database';
import { and, count } from 'drizzle-orm';
import { Resellers } from './resellers.js';
import { tenantsThat } from './tenant-filter.js';
import { after, cursorOf, orderOf, type SortedBy, sortKey } from './tenant-list.order.js';
import { tenants } from './tenant-list.projection.js';

const DEFAULT_LIMIT = 50;

/** All tenants for the platform; for a reseller's credentials its children, whatever is asked for. */
@Controller()
export class ListTenantsRpc {
  constructor(
    private readonly database: Database,
    private readonly resellers: Resellers,
  ) {}

  @Handles(listTenants)
  async handle({ query, command }: Call<typeof listTenants>): Reply<typeof listTenants> {
    const reseller = await this.resellers.asking(command.principal);
    if (reseller !== null && query.parentId !== undefined && query.parentId !== reseller)
      throw invalidField('parentId', 'own', 'must be left out: a reseller sees its own children');
    const limit = query.limit ?? DEFAULT_LIMIT;
    const sort: SortedBy = query.sort ?? '-createdAt';
    const where = tenantsThat(reseller === null ? query : { ...query, parentId: reseller });
    const paged = query.cursor === undefined ? where : [...where, after(sort, query.cursor)];
    const { db } = this.database;
    const rows = db
      .select({ row: tenants, key: sortKey(sort) })
      .from(tenants)
      .where(and(...paged))
      .orderBy(...orderOf(sort))
      .limit(limit + 1)
      .offset(query.offset ?? 0);
    const total =
      query.offset === undefined
        ? undefined
        : db
            .select({ total: count() })
            .from(tenants)
            .where(and(...where));
    const [found, counted] = await Promise.all([rows, total]);
    const shown = found.slice(0, limit);
    const last = found.length > limit ? shown.at(-1) : undefined;
    const nextCursor = last ? cursorOf(sort, last.key, last.row.tenantId) : null;
    return { status: 200, body: { items: shown.map(({ row }) => item(row)), nextCursor }, total: counted?.[0]?.total };
  }
}

function item(row: typeof tenants.$inferSelect): TenantListItem {
  const { tenantId, plan, planVersion, createdAt, updatedAt, priceMinor: _, ...rest } = row;
  return {
    ...rest,
    id: tenantId,
    plan: { id: plan, version: planVersion },
    createdAt: new Date(createdAt).toISOString(),
    updatedAt: new Date(updatedAt).toISOString(),
  } as TenantListItem;
}
