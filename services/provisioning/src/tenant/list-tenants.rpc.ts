import { Controller } from '@nestjs/common';
import { invalidField } from '@tenantry/contracts/errors';
import type { TenantListItem } from '@tenantry/contracts/tenant/bodies';
import { listTenants } from '@tenantry/contracts/tenant/routes';
import { Handles } from '@tenantry/messaging/handles';
import type { Call, Reply } from '@tenantry/messaging/rpc';
import { Database } from '@tenantry/service/database';
import { and, count, eq, sql } from 'drizzle-orm';
import { Resellers } from './resellers.js';
import { tenantsThat } from './tenant-filter.js';
import { after, cursorOf, healthScore, healthStatus, needsFigures, orderOf, type SortedBy, sortKey } from './tenant-list.order.js';
import { figures, tenants } from './tenant-list.projection.js';

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
    const keyed = db.select({ id: tenants.tenantId, key: sortKey(sort) }).from(tenants);
    const rows = (needsFigures(sort) ? keyed.leftJoin(figures, eq(figures.tenantId, tenants.tenantId)) : keyed)
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
    const known = await this.known(shown.map(({ id }) => id));
    const last = found.length > limit ? shown.at(-1) : undefined;
    const nextCursor = last ? cursorOf(sort, last.key, last.id) : null;
    return {
      status: 200,
      body: { items: shown.flatMap(({ id }) => known.get(id) ?? []).map(item), nextCursor },
      total: counted?.[0]?.total,
    };
  }

  /** Apart from the page's ids: what is sorted stays small, and orders that have an index use it. */
  private async known(tenantIds: string[]): Promise<Map<string, Known>> {
    if (tenantIds.length === 0) return new Map();
    const rows = await this.database.db
      .select({ row: tenants, figures, score: healthScore })
      .from(tenants)
      .leftJoin(figures, eq(figures.tenantId, tenants.tenantId))
      .where(sql`${tenants.tenantId} = ANY (${sql.param(tenantIds)}::uuid[])`);
    return new Map(rows.map((known) => [known.row.tenantId, known]));
  }
}

interface Known {
  row: typeof tenants.$inferSelect;
  figures: typeof figures.$inferSelect | null;
  score: number;
}

function item({ row, figures: known, score }: Known): TenantListItem {
  const { tenantId, plan, planVersion, createdAt, updatedAt, changedAt, priceMinor: _p, failedOperation: _f, ...rest } = row;
  const active = [changedAt, known?.usedAt].flatMap((at) => (at ? [Date.parse(at)] : []));
  return {
    ...rest,
    id: tenantId,
    plan: { id: plan, version: planVersion },
    createdAt: new Date(createdAt).toISOString(),
    updatedAt: new Date(updatedAt).toISOString(),
    usagePercent: known?.usagePercent ?? null,
    lastActivityAt: active.length === 0 ? null : new Date(Math.max(...active)).toISOString(),
    health: { status: healthStatus(score), score },
  } as TenantListItem;
}
