import { Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { consumerServices, oversightOf } from '@tenantry/contracts/platform/consumers';
import { usageShares } from '@tenantry/contracts/quota/routes';
import { RpcClient } from '@tenantry/messaging/rpc';
import { Logger } from '@tenantry/observability/logger';
import { Database } from '@tenantry/service/database';
import { Environment } from '@tenantry/service/environment';
import { every } from '@tenantry/service/every';
import { askAll } from '../oversight/fan-out.js';

const EVERY_MS = 15_000;
const PAGE = 1_000;
const PARKED_PAGE = 200;
/** Of one service. Where more is parked than this, which tenants they are of is the least of the worries. */
const MOST_PARKED = 5_000;

/**
 * Takes over what other services know of tenants, for the list: in pages for all of them, and writing only what differs. Each replica does it;
 * they write the same.
 */
@Injectable()
export class TenantFigures implements OnApplicationBootstrap, OnApplicationShutdown {
  private end?: () => Promise<void>;
  constructor(
    private readonly database: Database,
    private readonly rpc: RpcClient,
    private readonly logger: Logger,
    private readonly environment: Environment,
  ) {}

  onApplicationBootstrap(): void {
    if (this.environment.values.TENANTRY_ROLE === 'api') return;
    const failed = (error: unknown) =>
      this.logger.warn({ err: error }, 'figures of tenants could not be taken over; the next round tries again');
    this.end = every(EVERY_MS, () => this.refresh(), failed);
  }
  async onApplicationShutdown(): Promise<void> {
    await this.end?.();
  }

  async refresh(): Promise<void> {
    await this.usage();
    await this.parked();
    await this.database.pool.query(
      `DELETE FROM provisioning.tenant_figures f USING provisioning.tenants t WHERE t.tenant_id = f.tenant_id AND t.status = 'deleted'`,
    );
  }

  private async usage(): Promise<void> {
    for (let after: string | null = null; ; ) {
      const { items }: { items: { tenantId: string }[] } = await this.rpc.call(usageShares, { after, limit: PAGE });
      if (items.length > 0)
        await this.database.pool.query(
          // What is the same is left out before: a conflict locks its row, and a lock is written, whether the row is changed or not.
          `INSERT INTO provisioning.tenant_figures AS f (tenant_id, usage_percent, used_at)
           SELECT given."tenantId", given.percent, given."usedAt"
           FROM json_to_recordset($1::json) AS given("tenantId" uuid, percent numeric, "usedAt" timestamptz)
           LEFT JOIN provisioning.tenant_figures known ON known.tenant_id = given."tenantId"
           WHERE known.tenant_id IS NULL OR (known.usage_percent, known.used_at) IS DISTINCT FROM (given.percent, given."usedAt")
           ON CONFLICT (tenant_id) DO UPDATE SET usage_percent = excluded.usage_percent, used_at = excluded.used_at
           WHERE (f.usage_percent, f.used_at) IS DISTINCT FROM (excluded.usage_percent, excluded.used_at)`,
          [JSON.stringify(items)],
        );
      if (items.length < PAGE) return;
      after = items.at(-1)?.tenantId ?? null;
    }
  }

  /** Where a service doesn't answer, what was known stays: nobody gets well by that. */
  private async parked(): Promise<void> {
    const { answers, unanswered } = await askAll(consumerServices, (service) => this.parkedOf(service));
    if (unanswered.length > 0) return;
    const counts = new Map<string, number>();
    for (const { answer } of answers) for (const tenantId of answer) counts.set(tenantId, (counts.get(tenantId) ?? 0) + 1);
    await this.database.pool.query(
      `UPDATE provisioning.tenant_figures f SET parked = coalesce(given.parked, 0)
       FROM provisioning.tenant_figures own LEFT JOIN (SELECT * FROM unnest($1::uuid[], $2::int[]) AS g(tenant_id, parked)) given USING (tenant_id)
       WHERE f.tenant_id = own.tenant_id AND f.parked <> coalesce(given.parked, 0)`,
      [[...counts.keys()], [...counts.values()]],
    );
  }

  private async parkedOf(service: (typeof consumerServices)[number]): Promise<string[]> {
    const found: string[] = [];
    for (let after: string | null = null; found.length < MOST_PARKED; ) {
      const { items }: { items: { id: string; tenantId: string }[] } = await this.rpc.call(oversightOf(service).parked, {
        after,
        limit: PARKED_PAGE,
      });
      found.push(...items.map(({ tenantId }) => tenantId));
      if (items.length < PARKED_PAGE) break;
      after = items.at(-1)?.id ?? null;
    }
    return found;
  }
}
