import { Controller } from '@nestjs/common';
import { totalUsage } from '@tenantry/contracts/quota/routes';
import { getTenantMetrics, type TenantMetrics } from '@tenantry/contracts/tenant/metrics-routes';
import { Handles } from '@tenantry/messaging/handles';
import type { Call, Reply } from '@tenantry/messaging/rpc';
import { RpcClient } from '@tenantry/messaging/rpc';
import { Database } from '@tenantry/service/database';
import { and, count, desc, eq, inArray, ne, sum } from 'drizzle-orm';
import { Resellers } from './resellers.js';
import { tenants } from './tenant-list.projection.js';

/** Of all tenants for the platform; of its children for a reseller. Counted when it is asked for. */
@Controller()
export class TenantMetricsRpc {
  constructor(
    private readonly database: Database,
    private readonly resellers: Resellers,
    private readonly rpc: RpcClient,
  ) {}

  @Handles(getTenantMetrics)
  async handle({ command }: Call<typeof getTenantMetrics>): Reply<typeof getTenantMetrics> {
    const parentId = (await this.resellers.asking(command.principal)) ?? undefined;
    const asked = parentId === undefined ? undefined : eq(tenants.parentId, parentId);
    const which = and(ne(tenants.status, 'deleted'), asked);
    const gone = and(inArray(tenants.status, ['deleting', 'deleted']), asked);
    const { db } = this.database;
    const [byStatus, byTier, mrr, departed, used] = await Promise.all([
      db.select({ name: tenants.status, count: count() }).from(tenants).where(which).groupBy(tenants.status),
      db.select({ name: tenants.plan, count: count() }).from(tenants).where(which).groupBy(tenants.plan),
      db
        .select({ currency: tenants.mrrCurrency, amount: sum(tenants.mrrMinor), tenants: count() })
        .from(tenants)
        .where(which)
        .groupBy(tenants.mrrCurrency)
        .orderBy(desc(count())),
      db
        .select({ category: tenants.feedbackCategory, winBack: tenants.winBack, count: count() })
        .from(tenants)
        .where(gone)
        .groupBy(tenants.feedbackCategory, tenants.winBack),
      this.rpc.call(totalUsage, { parentId }),
    ]);
    return {
      status: 200,
      body: {
        totalTenants: byStatus.reduce((total, row) => total + row.count, 0),
        byStatus: Object.fromEntries(byStatus.map((row) => [row.name, row.count])),
        byTier: Object.fromEntries(byTier.map((row) => [row.name, row.count])),
        mrr: mrr.map((row) => ({ currency: row.currency, amountMinor: Number(row.amount ?? 0), tenants: row.tenants })),
        usage: Object.fromEntries(used.resources.map(({ resource, ...totals }) => [resource, totals])),
        health: used.health,
        departures: departuresOf(departed),
      },
    };
  }
}

function departuresOf(rows: { category: string | null; winBack: boolean; count: number }[]): TenantMetrics['departures'] {
  const departures: TenantMetrics['departures'] = { total: 0, byCategory: {}, winBack: 0 };
  for (const { category, winBack, count } of rows) {
    departures.total += count;
    if (winBack) departures.winBack += count;
    if (category !== null) departures.byCategory[category] = (departures.byCategory[category] ?? 0) + count;
  }
  return departures;
}
