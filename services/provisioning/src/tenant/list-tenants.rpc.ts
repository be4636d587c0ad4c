import { Controller } from '@nestjs/common';
import { invalidField } from '@tenantry/contracts/errors';
import { canonicalPlan } from '@tenantry/contracts/plans';
import type { TenantListItem } from '@tenantry/contracts/tenant/bodies';
import { listTenants } from '@tenantry/contracts/tenant/routes';
import { Handles } from '@tenantry/messaging/handles';
import type { Call, Reply } from '@tenantry/messaging/rpc';
import { Database } from '@tenantry/service/database';
import { and, count, desc, eq, ilike, or, type SQL, sql } from 'drizzle-orm';
import { tenants } from './tenant-list.projection.js';

type Query = Call<typeof listTenants>['query'];
const DEFAULT_LIMIT = 50;

/** Keyset pages: a cursor is the creation time and id of the last row seen. */
const encodeCursor = (row: { createdAt: string; tenantId: string }) =>
  Buffer.from(`${row.createdAt}|${row.tenantId}`).toString('base64url');
function decodeCursor(cursor: string): { createdAt: string; tenantId: string } {
  const [createdAt, tenantId] = Buffer.from(cursor, 'base64url').toString().split('|');
  if (!createdAt || !tenantId || Number.isNaN(Date.parse(createdAt)) || !/^[0-9a-f-]{36}$/.test(tenantId))
    throw invalidField('cursor', 'cursor', 'must be the nextCursor of the page before');
  return { createdAt, tenantId };
}

const like = (text: string) => `%${text.replace(/[\\%_]/g, '\\$&')}%`;

function conditions(query: Query): SQL[] {
  const found: (SQL | undefined | '' | null)[] = [
    query.status && eq(tenants.status, query.status === 'inactive' ? 'archived' : query.status),
    query.tier && eq(tenants.plan, canonicalPlan(query.tier)),
    query.region && eq(tenants.region, query.region),
    query.isolation && eq(tenants.isolation, query.isolation),
    query.tag && sql`${tenants.tags} @> ${JSON.stringify([query.tag])}::jsonb`,
    query.q && or(ilike(tenants.name, like(query.q)), ilike(tenants.slug, like(query.q))),
  ];
  return found.filter((condition): condition is SQL => Boolean(condition));
}

@Controller()
export class ListTenantsRpc {
  constructor(private readonly database: Database) {}

  @Handles(listTenants)
  async handle({ query }: Call<typeof listTenants>): Reply<typeof listTenants> {
    const limit = query.limit ?? DEFAULT_LIMIT;
    const where = conditions(query);
    const after = query.cursor === undefined ? null : decodeCursor(query.cursor);
    const paged = after
      ? [...where, sql`(${tenants.createdAt}, ${tenants.tenantId}) < (${after.createdAt}::timestamptz, ${after.tenantId}::uuid)`]
      : where;
    const { db } = this.database;
    const rows = db
      .select()
      .from(tenants)
      .where(and(...paged))
      .orderBy(desc(tenants.createdAt), desc(tenants.tenantId))
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
    const items = found.slice(0, limit);
    const last = found.length > limit ? items.at(-1) : undefined;
    return { status: 200, body: { items: items.map(item), nextCursor: last ? encodeCursor(last) : null }, total: counted?.[0]?.total };
  }
}

function item(row: typeof tenants.$inferSelect): TenantListItem {
  const { tenantId, plan, planVersion, createdAt, updatedAt, ...rest } = row;
  return {
    ...rest,
    id: tenantId,
    plan: { id: plan, version: planVersion },
    createdAt: new Date(createdAt).toISOString(),
    updatedAt: new Date(updatedAt).toISOString(),
  } as TenantListItem;
}
