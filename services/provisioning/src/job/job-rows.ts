import { Injectable } from '@nestjs/common';
import type { Encrypted } from '@tenantry/contracts/events';
import type { jobItemStates, OperationItem } from '@tenantry/contracts/platform/consumers';
import type { JobCounts } from '@tenantry/contracts/platform/events';
import { Database } from '@tenantry/service/database';
import type { Failure } from '../operation/operation.js';
import type { JobItem, NewItem } from './job-handler.js';

type ItemStatus = (typeof jobItemStates)[number];
/** `claims` fences: who claimed last says how it ended. */
export interface ClaimedItem extends JobItem {
  claims: number;
  /** How often the process died before it was over, since it was last asked for. */
  interruptions: number;
}
export interface ItemEnding {
  ordinal: number;
  claims: number;
  status: Exclude<ItemStatus, 'running'>;
  durationMs: number;
  error: Failure | null;
  /** For a pending one: until it may be claimed again. */
  delayMs: number;
  /** What it did doesn't count as an attempt. */
  uncounted: boolean;
}
/** Items that are not over. */
export interface Open {
  items: number;
  canary: number;
  /** Until the first of the lowest wave is due. */
  inMs: number;
}

const CHUNK = 5_000;
/** How long who works on a job has it, unless it says so again. */
export const LEASE_MS = 15_000;
export const rowsKeptDays = 90;
/** An item that was at hand so often when the process died is done alone, so that the next death says which one it is. */
export const SUSPECT_FROM = 3;

/** The rows of work over many tenants: which items there are and how each went. Statements, no rules. */
@Injectable()
export class JobRows {
  constructor(private readonly database: Database) {}

  /** Once: for a job that has its rows, they stay. @returns how many items it has */
  async add(operationId: string, type: string, params: Encrypted, items: readonly NewItem[]): Promise<number> {
    const client = await this.database.pool.connect();
    try {
      await client.query('BEGIN');
      const { rowCount } = await client.query(
        'INSERT INTO provisioning.jobs (operation_id, type, params, total) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING',
        [operationId, type, JSON.stringify(params), items.length],
      );
      for (let from = 0; rowCount === 1 && from < items.length; from += CHUNK) {
        const rows = items
          .slice(from, from + CHUNK)
          .map(({ tenantId, target, wave = 0 }, index) => ({ ordinal: from + index, tenant_id: tenantId, target, wave }));
        await client.query(
          `INSERT INTO provisioning.job_items (operation_id, ordinal, tenant_id, target, wave)
           SELECT $1, r.* FROM json_to_recordset($2::json) AS r(ordinal int, tenant_id uuid, target text, wave int)`,
          [operationId, JSON.stringify(rows)],
        );
      }
      await client.query('COMMIT');
    } catch (error) {
      await client.query('ROLLBACK');
      throw error;
    } finally {
      client.release();
    }
    const { rows } = await this.database.pool.query<{ total: number }>('SELECT total FROM provisioning.jobs WHERE operation_id = $1', [
      operationId,
    ]);
    return rows[0]?.total ?? 0;
  }

  /** Further items, in the last wave. @returns false for who isn't the driver any more: nothing was added */
  async extend(operationId: string, driver: string, items: readonly NewItem[]): Promise<boolean> {
    const { rowCount } = await this.database.pool.query(
      `WITH job AS (
         UPDATE provisioning.jobs SET total = total + $3 WHERE operation_id = $1 AND driver = $2 AND driver_until > now() RETURNING operation_id),
       last AS (SELECT coalesce(max(ordinal), -1) AS ordinal, coalesce(max(wave), 0) AS wave FROM provisioning.job_items WHERE operation_id = $1)
       INSERT INTO provisioning.job_items (operation_id, ordinal, tenant_id, target, wave)
       SELECT job.operation_id, last.ordinal + r.nth, r.tenant_id, r.target, last.wave FROM job, last,
         ROWS FROM (json_to_recordset($4::json) AS (tenant_id uuid, target text)) WITH ORDINALITY AS r(tenant_id, target, nth)`,
      [operationId, driver, items.length, JSON.stringify(items.map(({ tenantId, target }) => ({ tenant_id: tenantId, target })))],
    );
    return rowCount === items.length;
  }

  async params(operationId: string): Promise<Encrypted> {
    const { rows } = await this.database.pool.query<{ params: Encrypted }>('SELECT params FROM provisioning.jobs WHERE operation_id = $1', [
      operationId,
    ]);
    if (!rows[0]) throw new Error(`There are no rows of the job ${operationId}`);
    return rows[0].params;
  }

  /** One process at a time works on a job. Also prolongs what the driver has. */
  async lease(operationId: string, driver: string): Promise<boolean> {
    const { rowCount } = await this.database.pool.query({
      name: 'job-lease',
      text: `UPDATE provisioning.jobs SET driver = $2, driver_until = now() + $3 * interval '1 ms'
             WHERE operation_id = $1 AND (driver IS NULL OR driver = $2 OR driver_until < now())`,
      values: [operationId, driver, LEASE_MS],
    });
    return rowCount === 1;
  }

  async release(operationId: string, driver: string): Promise<void> {
    await this.database.pool.query('UPDATE provisioning.jobs SET driver = NULL WHERE operation_id = $1 AND driver = $2', [
      operationId,
      driver,
    ]);
  }

  /** For a driver that begins: what runs was another's, which died, and what failed before this round is tried again. */
  async reopen(operationId: string, round: number): Promise<void> {
    await this.database.pool.query(
      `UPDATE provisioning.job_items SET status = 'pending', due_at = now(),
         attempts = CASE status WHEN 'running' THEN attempts ELSE 0 END,
         retries = CASE status WHEN 'running' THEN retries ELSE retries + 1 END,
         interruptions = CASE status WHEN 'running' THEN interruptions + 1 ELSE 0 END
       WHERE operation_id = $1 AND (status = 'running' OR (status IN ('failed', 'quarantined') AND round < $2))`,
      [operationId, round],
    );
  }

  /**
   * Items of the lowest wave that is not over. Nothing for who isn't the driver any more.
   * @param suspects those at which the process died several times, the least often first; else those at which it didn't
   */
  async claim(operationId: string, driver: string, limit: number, canaryOnly: boolean, suspects = false): Promise<ClaimedItem[]> {
    const { rows } = await this.database.pool.query<ClaimedItem>({
      name: 'job-claim',
      text: `WITH due AS (
               SELECT i.ordinal FROM provisioning.job_items i
               WHERE i.operation_id = $1 AND i.status = 'pending' AND i.due_at <= now() AND (NOT $4 OR i.wave = 0) AND (i.interruptions >= $6) = $5
                 AND i.wave = (SELECT o.wave FROM provisioning.job_items o
                               WHERE o.operation_id = $1 AND o.status IN ('pending', 'running') ORDER BY o.wave LIMIT 1)
                 AND EXISTS (SELECT FROM provisioning.jobs WHERE operation_id = $1 AND driver = $2 AND driver_until > now())
               ORDER BY CASE WHEN $5 THEN i.interruptions ELSE 0 END, i.ordinal LIMIT $3 FOR UPDATE SKIP LOCKED)
             UPDATE provisioning.job_items i SET status = 'running', claims = i.claims + 1, attempts = i.attempts + 1
             FROM due WHERE i.operation_id = $1 AND i.ordinal = due.ordinal
             RETURNING i.ordinal, i.tenant_id AS "tenantId", i.target, i.wave, i.attempts AS attempt, i.claims, i.interruptions, i.retries`,
      values: [operationId, driver, limit, canaryOnly, suspects, SUSPECT_FROM],
    });
    return rows.sort((a, b) => a.ordinal - b.ordinal);
  }

  /** @param round how often the job was retried: what fails in it waits for the next */
  async settle(operationId: string, endings: readonly ItemEnding[], round: number): Promise<void> {
    await this.database.pool.query({
      name: 'job-settle',
      text: `UPDATE provisioning.job_items i
             SET status = r.status, duration_ms = r.duration_ms, error_code = r.code, error = r.error,
                 attempts = i.attempts - r.uncounted::int, round = CASE WHEN r.status IN ('failed', 'quarantined') THEN $3 ELSE i.round END, due_at = now() + r.delay_ms * interval '1 ms'
             FROM json_to_recordset($2::json)
               AS r(ordinal int, claims int, status text, duration_ms double precision, code text, error text, delay_ms double precision, uncounted boolean)
             WHERE i.operation_id = $1 AND i.ordinal = r.ordinal AND i.claims = r.claims AND i.status = 'running'`,
      values: [
        operationId,
        JSON.stringify(
          endings.map(({ ordinal, claims, status, durationMs, error, delayMs, uncounted }) => ({
            ...{ ordinal, claims, status, duration_ms: durationMs, delay_ms: delayMs, uncounted },
            ...{ code: error?.code, error: error?.detail.replaceAll('\0', '').slice(0, 1_000) },
          })),
        ),
        round,
      ],
    });
  }

  /** What has not begun is left out. */
  async skipPending(operationId: string, why: Failure): Promise<void> {
    await this.database.pool.query(
      `UPDATE provisioning.job_items SET status = 'skipped', error_code = $2, error = $3 WHERE operation_id = $1 AND status = 'pending'`,
      [operationId, why.code, why.detail],
    );
  }

  async open(operationId: string): Promise<Open> {
    const { rows } = await this.database.pool.query<{ items: number; canary: number; in_ms: number | null }>({
      name: 'job-open',
      text: `SELECT count(*)::int AS items, (count(*) FILTER (WHERE wave = 0))::int AS canary,
                    greatest(0, extract(epoch FROM min(due_at) FILTER (WHERE wave = first) - now()) * 1000)::float8 AS in_ms
             FROM (SELECT wave, due_at, min(wave) OVER () AS first FROM provisioning.job_items
                   WHERE operation_id = $1 AND status IN ('pending', 'running')) o`,
      values: [operationId],
    });
    const { items = 0, canary = 0, in_ms = 0 } = rows[0] ?? {};
    return { items, canary, inMs: in_ms ?? 0 };
  }

  /** What was set aside has failed too: it only doesn't keep the job from succeeding. */
  async failed(operationId: string, canaryOnly = false): Promise<number> {
    const { rows } = await this.database.pool.query<{ count: number }>(
      `SELECT count(*)::int AS count FROM provisioning.job_items WHERE operation_id = $1 AND status IN ('failed', 'quarantined') AND (NOT $2 OR wave = 0)`,
      [operationId, canaryOnly],
    );
    return rows[0]?.count ?? 0;
  }

  async counts(operationId: string): Promise<JobCounts & { begun: boolean }> {
    const { rows } = await this.database.pool.query<{ status: ItemStatus; count: number; begun: boolean }>({
      name: 'job-counts',
      text: `SELECT status, count(*)::int AS count, bool_or(claims > 0) AS begun
             FROM provisioning.job_items WHERE operation_id = $1 GROUP BY status`,
      values: [operationId],
    });
    const of = (...states: ItemStatus[]) => rows.reduce((sum, { status, count }) => sum + (states.includes(status) ? count : 0), 0);
    return {
      total: rows.reduce((sum, { count }) => sum + count, 0),
      pending: of('pending', 'running'),
      succeeded: of('succeeded'),
      failed: of('failed'),
      quarantined: of('quarantined'),
      skipped: of('skipped'),
      begun: rows.some(({ begun }) => begun),
    };
  }

  /** In their order. @param after ordinal of the last one seen */
  async page(operationId: string, after: number, limit: number, status?: ItemStatus): Promise<(OperationItem & { ordinal: number })[]> {
    const { rows } = await this.database.pool.query<OperationItem & { ordinal: number }>(
      `SELECT ordinal, tenant_id AS "tenantId", target, status, attempts, duration_ms AS "durationMs", error, error_code AS code
       FROM provisioning.job_items WHERE operation_id = $1 AND ordinal > $2 AND ($4::text IS NULL OR status = $4) ORDER BY ordinal LIMIT $3`,
      [operationId, after, limit, status ?? null],
    );
    return rows;
  }

  async exist(operationId: string): Promise<boolean> {
    const { rowCount } = await this.database.pool.query('SELECT FROM provisioning.jobs WHERE operation_id = $1', [operationId]);
    return rowCount === 1;
  }

  /** Oldest first. @param after the last one of the page before */
  async olderThan(
    days: number,
    after: { id: string; createdAt: string } | null,
    limit: number,
  ): Promise<{ id: string; createdAt: string }[]> {
    const { rows } = await this.database.pool.query<{ id: string; createdAt: string }>(
      `SELECT operation_id AS id, created_at::text AS "createdAt" FROM provisioning.jobs
       WHERE created_at < now() - $1 * interval '1 day' AND ($2::timestamptz IS NULL OR (created_at, operation_id) > ($2, $3::uuid))
       ORDER BY created_at, operation_id LIMIT $4`,
      [days, after?.createdAt ?? null, after?.id ?? null, limit],
    );
    return rows;
  }

  /** With their items. */
  async remove(operationIds: readonly string[]): Promise<void> {
    await this.database.pool.query('DELETE FROM provisioning.jobs WHERE operation_id = ANY($1)', [operationIds]);
  }
}
