import { type Cycle, type Period, periodAt } from '@tenantry/contracts/billing/period';
import type { Instant } from '@tenantry/contracts/clock';
import type { Personal } from '@tenantry/contracts/events';
import type { overLimits } from '@tenantry/contracts/quota/limit-routes';
import type { totalUsage, usageShares } from '@tenantry/contracts/quota/routes';
import type { Database } from '@tenantry/service/database';
import type { z } from 'zod';
import type { Outcome, Standing } from './usage.js';

/** What `assign` writes: the outcome of one `QuotasAssigned`. */
export interface Assignment {
  tenantId: string;
  /** Of the event in the tenant's log. */
  position: number;
  cycle: Cycle;
  retentionDays: number;
  quotas: { resource: string; kind: string; unit: string; limit: number | null }[];
  /** The reseller in whose rows the use counts too. */
  parentId: string | null;
  /** Whether the limits bound the sum of the tenant's use and its children's. */
  pools: boolean;
}

export interface Change {
  tenantId: string;
  commandId: string;
  requestHash: string;
  resource: string;
  /** In the resource's unit; negative gives back. */
  amount: number;
  /** Encrypted: the ledger keeps it as it is given. */
  description: Personal | undefined;
  now: Instant;
  /** `now` as a day in the tenant's time zone, `YYYY-MM-DD`. */
  day: string;
  /** The tenant's billing period that holds `now`. */
  period: Period;
}

export interface UsageLogLine {
  id: string;
  resource: string;
  amount: number;
  usageDate: string;
  description: Personal | null;
  createdAt: Instant;
}

type Changed = Outcome | { outcome: 'unknown_resource' } | { outcome: 'unassigned' };
type Pool = { limit: number; used: number; periodEnd: Instant | null };
const POOL_USED_UP = 'QP001';
const POOL_PERIOD_OVER = 'QP002';

/** What the reseller's limit leaves for all of its children; null where nothing pools. */
const poolLeft = (row: { pool_limit: string | null; pool_used: string | null; pool_end: Date | null }, now: Instant): number | null => {
  if (row.pool_limit === null) return null;
  const over = row.pool_end !== null && row.pool_end.getTime() <= Date.parse(now);
  return Math.max(0, Number(row.pool_limit) - (over ? 0 : Number(row.pool_used)));
};

/** Limits and use of all tenants, in the service's own schema. Each change is one call of one SQL function: see `migrations/service/0001_ledger.sql`. */
export class Ledger {
  constructor(private readonly database: Pick<Database, 'pool'>) {}

  /**
   * Writes the rows of an assignment, in one statement. Idempotent: what is used stays, and an assignment that is older than what the
   * ledger knows changes nothing (one that was held up must not bring back what has been withdrawn since).
   */
  async assign({ tenantId, position, cycle, retentionDays, quotas, parentId, pools }: Assignment): Promise<void> {
    const period = periodAt(cycle, cycle.startsAt);
    const rows = quotas.map(({ resource, kind, unit, limit }) => ({
      resource,
      kind,
      unit,
      limit_value: limit,
      period_start: kind === 'counter' ? period.start : null,
      period_end: kind === 'counter' ? period.end : null,
      parent_id: parentId,
      pools,
    }));
    await this.database.pool.query({
      name: 'quota-assign',
      text: `WITH tenant AS (
          INSERT INTO quota_metering.tenants AS t (tenant_id, position, withdrawn, timezone, starts_at, trial_ends_at, retention_days)
          VALUES ($1, $2, false, $3, $4, $5, $6)
          ON CONFLICT (tenant_id) DO UPDATE SET position = excluded.position, withdrawn = false, timezone = excluded.timezone,
            starts_at = excluded.starts_at, trial_ends_at = excluded.trial_ends_at, retention_days = excluded.retention_days
          WHERE t.position <= excluded.position
          RETURNING t.tenant_id)
        INSERT INTO quota_metering.quotas (tenant_id, resource, kind, unit, limit_value, period_start, period_end, parent_id, pools)
        SELECT tenant.tenant_id, q.*
        FROM tenant, json_to_recordset($7::json) AS q(resource text, kind text, unit text, limit_value bigint, period_start timestamptz, period_end timestamptz,
          parent_id uuid, pools boolean)
        ON CONFLICT (tenant_id, resource) DO UPDATE SET kind = excluded.kind, unit = excluded.unit, limit_value = excluded.limit_value,
          parent_id = excluded.parent_id, pools = excluded.pools`,
      values: [tenantId, position, cycle.timezone, cycle.startsAt, cycle.trialEndsAt, retentionDays, JSON.stringify(rows)],
    });
  }

  /** Other limits and another retention for a tenant that has quotas; what is used stays. Older than what the ledger knows: nothing. Idempotent. */
  async relimit({
    tenantId,
    position,
    retentionDays,
    quotas,
    pools,
  }: Omit<Assignment, 'cycle' | 'parentId' | 'pools'> & Partial<Pick<Assignment, 'pools'>>) {
    await this.database.pool.query({
      name: 'quota-relimit',
      text: `WITH tenant AS (
          UPDATE quota_metering.tenants SET position = $2, retention_days = $3
          WHERE tenant_id = $1 AND position <= $2 AND NOT withdrawn
          RETURNING tenant_id)
        UPDATE quota_metering.quotas q SET limit_value = given.limit_value, pools = coalesce($5, q.pools)
        FROM tenant, json_to_recordset($4::json) AS given(resource text, limit_value bigint)
        WHERE q.tenant_id = tenant.tenant_id AND q.resource = given.resource`,
      values: [
        tenantId,
        position,
        retentionDays,
        JSON.stringify(quotas.map(({ resource, limit }) => ({ resource, limit_value: limit }))),
        pools ?? null,
      ],
    });
  }

  /** How many of the tenants use more than limits that they might get, and some of them. Counters whose period is over have used nothing. */
  async over(tenantIds: readonly string[], limits: Record<string, number>, now: Instant): Promise<z.infer<typeof overLimits.output>> {
    const { rows } = await this.database.pool.query(
      `WITH over AS (
         SELECT q.tenant_id, q.resource, q.used + CASE WHEN q.pools THEN q.pooled ELSE 0 END AS used, given.value::bigint AS limit_value
         FROM json_each_text($2::json) AS given(key, value)
         JOIN quota_metering.quotas q ON q.resource = given.key AND q.tenant_id = ANY ($1::uuid[])
         WHERE (q.period_end IS NULL OR q.period_end > $3) AND q.used + CASE WHEN q.pools THEN q.pooled ELSE 0 END > given.value::bigint)
       SELECT (SELECT count(DISTINCT tenant_id) FROM over) AS tenants, o.* FROM over o ORDER BY o.tenant_id, o.resource LIMIT 10`,
      [tenantIds, JSON.stringify(limits), now],
    );
    const sample = rows.map((row) => ({
      ...{ tenantId: row.tenant_id, resource: row.resource },
      ...{ used: Number(row.used), limit: Number(row.limit_value) },
    }));
    return { tenants: Number(rows[0]?.tenants ?? 0), sample };
  }

  /** Removes what the tenant has; its position stays, so that an older assignment can't come back. Idempotent. */
  async withdraw(tenantId: string, position: number): Promise<void> {
    await this.database.pool.query(
      `WITH tenant AS (
         INSERT INTO quota_metering.tenants AS t (tenant_id, position, withdrawn) VALUES ($1, $2, true)
         ON CONFLICT (tenant_id) DO UPDATE SET position = excluded.position, withdrawn = true, timezone = null, starts_at = null,
           trial_ends_at = null, retention_days = null
         WHERE t.position <= excluded.position
         RETURNING t.tenant_id),
       usage AS (DELETE FROM quota_metering.usage_log l USING tenant WHERE l.tenant_id = tenant.tenant_id)
       DELETE FROM quota_metering.quotas q USING tenant WHERE q.tenant_id = tenant.tenant_id`,
      [tenantId, position],
    );
  }

  /**
   * Consumes or gives back, all of it or nothing; atomic whatever the concurrency. A repeated command id gets the first result.
   * What a child of a reseller uses counts in that one's rows as well (see `migrations/service/0007_pooled_limits.sql`).
   */
  async change(change: Change): Promise<Changed> {
    try {
      return await this.tryToChange(change);
    } catch (error) {
      const { code, detail } = error as { code?: string; detail?: string };
      if (code === POOL_USED_UP) return { outcome: 'pool_exceeded', ...(JSON.parse(detail ?? '{}') as Pool) };
      if (code !== POOL_PERIOD_OVER) throw error;
      await this.renewPool(change);
      return this.tryToChange(change);
    }
  }

  /** Begins the period of the reseller's counters that holds `now`, where theirs is over. */
  private async renewPool({ tenantId, now }: Change): Promise<void> {
    const { rows } = await this.database.pool.query(
      `SELECT t.tenant_id, t.timezone, t.starts_at, t.trial_ends_at, greatest($2, now()) AS now FROM quota_metering.tenants t
       WHERE t.tenant_id = (SELECT q.parent_id FROM quota_metering.quotas q WHERE q.tenant_id = $1 LIMIT 1) AND NOT t.withdrawn`,
      [tenantId, now],
    );
    if (!rows[0]) return;
    const period = periodAt(cycleOf(rows[0]), instant(rows[0].now));
    await this.database.pool.query(
      `UPDATE quota_metering.quotas SET used = 0, period_start = $2, period_end = $3
       WHERE tenant_id = $1 AND period_end <= $2`,
      [rows[0].tenant_id, period.start, period.end],
    );
  }

  private async tryToChange(change: Change): Promise<Changed> {
    const { rows } = await this.database.pool.query({
      name: 'quota-change',
      // What children use of a pool is as of the beginning of the statement.
      text: `SELECT c.*, coalesce(q.pooled, 0) AS pooled FROM quota_metering.change_usage($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) c
        LEFT JOIN quota_metering.quotas q ON q.tenant_id = $1 AND q.resource = $4 AND q.pools AND (q.period_end IS NULL OR q.period_end > $7)`,
      values: [
        change.tenantId,
        change.commandId,
        change.requestHash,
        change.resource,
        change.amount,
        change.description === undefined ? null : JSON.stringify(change.description),
        change.now,
        change.day,
        change.period.start,
        change.period.end,
      ],
    });
    const [row] = rows;
    return {
      outcome: row.outcome,
      used: Number(row.now_used) + (row.outcome === 'below_zero' ? 0 : Number(row.pooled)),
      limit: numberOrNull(row.now_limit),
      kind: row.now_kind,
      periodEnd: instantOrNull(row.now_period_end),
    };
  }

  /** When the tenant's billing periods begin and end. Null where no quotas are assigned. */
  async cycle(tenantId: string): Promise<Cycle | null> {
    const { rows } = await this.database.pool.query({
      name: 'quota-cycle',
      text: 'SELECT timezone, starts_at, trial_ends_at FROM quota_metering.tenants WHERE tenant_id = $1 AND NOT withdrawn',
      values: [tenantId],
    });
    return rows[0] ? cycleOf(rows[0]) : null;
  }

  /**
   * The tenant's quotas as of `now`, sorted by name, or the one of `resource`: a counter whose stored period is over stands at 0 in the
   * running one. Null where no quotas are assigned; empty for an unknown resource.
   */
  async standings(tenantId: string, now: Instant, resource?: string): Promise<Standing[] | null> {
    const { rows } = await this.database.pool.query({
      name: 'quota-standings',
      text: `SELECT t.timezone, t.starts_at, t.trial_ends_at, q.resource, q.kind, q.unit, q.limit_value, q.used, q.period_end,
          CASE WHEN q.pools THEN q.pooled ELSE 0 END AS pooled, p.limit_value AS pool_limit, p.used + p.pooled AS pool_used, p.period_end AS pool_end
        FROM quota_metering.tenants t
        LEFT JOIN quota_metering.quotas q ON q.tenant_id = t.tenant_id AND ($2::text IS NULL OR q.resource = $2)
        LEFT JOIN quota_metering.quotas p ON p.tenant_id = q.parent_id AND p.resource = q.resource AND p.pools
        WHERE t.tenant_id = $1 AND NOT t.withdrawn ORDER BY q.resource`,
      values: [tenantId, resource ?? null],
    });
    if (rows.length === 0) return null;
    const running = periodAt(cycleOf(rows[0]), now);
    return rows
      .filter((row) => row.resource !== null)
      .map((row) => {
        const stored = instantOrNull(row.period_end);
        const over = stored !== null && Date.parse(stored) <= Date.parse(now);
        return {
          resource: row.resource,
          kind: row.kind,
          unit: row.unit,
          limit: numberOrNull(row.limit_value),
          used: over ? 0 : Number(row.used) + Number(row.pooled),
          poolLeft: poolLeft(row, now),
          periodEnd: over ? running.end : stored,
        };
      });
  }

  /** What all tenants use together, or a reseller's children; `health` counts them by the limit that each has used most of. */
  async totals(now: Instant, parentId?: string): Promise<z.infer<typeof totalUsage.output>> {
    const { rows } = await this.database.pool.query(
      `WITH standing AS (
         SELECT q.tenant_id, q.resource, q.unit, q.limit_value, CASE WHEN q.period_end <= $1 THEN 0 ELSE q.used END AS used
         FROM quota_metering.quotas q WHERE $2::uuid IS NULL OR q.parent_id = $2),
       worst AS (
         SELECT tenant_id, max(CASE WHEN limit_value IS NULL OR used = 0 THEN 0 WHEN limit_value = 0 THEN 1 ELSE used::float8 / limit_value END) AS share
         FROM standing GROUP BY tenant_id)
       SELECT
         (SELECT json_agg(r) FROM (
           SELECT resource, unit, sum(used) AS used, CASE WHEN bool_and(limit_value IS NOT NULL) THEN sum(limit_value) END AS limit
           FROM standing GROUP BY resource, unit ORDER BY resource) r) AS resources,
         (SELECT json_build_object(
           'critical', count(*) FILTER (WHERE share >= 1),
           'warning', count(*) FILTER (WHERE share >= 0.8 AND share < 1),
           'healthy', count(*) FILTER (WHERE share < 0.8)) FROM worst) AS health`,
      [now, parentId ?? null],
    );
    return { resources: rows[0].resources ?? [], health: rows[0].health };
  }

  /** A page of all tenants, by their ids: the share of the limit that each has used most of, and when it last used anything. */
  async shares(now: Instant, after: string | null, limit: number): Promise<z.infer<typeof usageShares.output>['items']> {
    const { rows } = await this.database.pool.query(
      `SELECT t.tenant_id, q.share, l.created_at
       FROM (SELECT tenant_id FROM quota_metering.tenants WHERE NOT withdrawn AND ($2::uuid IS NULL OR tenant_id > $2) ORDER BY tenant_id LIMIT $3) t
       LEFT JOIN LATERAL (
         SELECT round(max(CASE WHEN used = 0 OR period_end <= $1 THEN 0 WHEN limit_value = 0 THEN 100 ELSE used::numeric * 100 / limit_value END), 2) AS share
         FROM (SELECT used + CASE WHEN pools THEN pooled ELSE 0 END AS used, limit_value, period_end
               FROM quota_metering.quotas WHERE tenant_id = t.tenant_id AND limit_value IS NOT NULL) own) q ON true
       LEFT JOIN LATERAL (SELECT created_at FROM quota_metering.usage_log WHERE tenant_id = t.tenant_id ORDER BY id DESC LIMIT 1) l ON true
       ORDER BY t.tenant_id`,
      [now, after, limit],
    );
    return rows.map((row) => ({ tenantId: row.tenant_id, percent: numberOrNull(row.share), usedAt: instantOrNull(row.created_at) }));
  }

  /** What was consumed and given back, newest first. */
  async logs(tenantId: string, page: { limit: number; offset: number; resource?: string }): Promise<UsageLogLine[]> {
    const { rows } = await this.database.pool.query(
      `SELECT id, resource, amount, usage_date::text AS usage_date, description, created_at FROM quota_metering.usage_log
       WHERE tenant_id = $1 ${page.resource === undefined ? '' : 'AND resource = $4'} ORDER BY id DESC LIMIT $2 OFFSET $3`,
      [tenantId, page.limit, page.offset, ...(page.resource === undefined ? [] : [page.resource])],
    );
    return rows.map((row) => ({
      id: String(row.id),
      resource: row.resource,
      amount: Number(row.amount),
      usageDate: row.usage_date,
      description: row.description,
      createdAt: instant(row.created_at),
    }));
  }

  /** How many lines `logs` has in all. */
  async countLogs(tenantId: string, resource?: string): Promise<number> {
    const { rows } = await this.database.pool.query(
      `SELECT count(*) AS lines FROM quota_metering.usage_log WHERE tenant_id = $1 ${resource === undefined ? '' : 'AND resource = $2'}`,
      resource === undefined ? [tenantId] : [tenantId, resource],
    );
    return Number(rows[0].lines);
  }
}

const numberOrNull = (value: unknown): number | null => (value === null ? null : Number(value));
// Whichever form the driver is set to give: a Date or PostgreSQL's text.
const instant = (value: Date | string): Instant => new Date(value).toISOString();
const instantOrNull = (value: Date | string | null): Instant | null => (value === null ? null : instant(value));
const cycleOf = (row: { timezone: string; starts_at: Date | string; trial_ends_at: Date | string | null }): Cycle => ({
  timezone: row.timezone,
  startsAt: instant(row.starts_at),
  trialEndsAt: instantOrNull(row.trial_ends_at),
});
