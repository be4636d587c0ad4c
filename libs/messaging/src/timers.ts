import type { Clock } from '@tenantry/contracts/clock';
import { derivedId } from '@tenantry/contracts/ids';
import type { Logger } from '@tenantry/observability/logger';
import { errorText } from '@tenantry/observability/redact';
import type { Pool } from 'pg';
import { backoffMs } from './backoff.js';
import { type TimerHandler, Timers } from './effects.js';
import type { Scheduler, Timer } from './scheduler.js';
import { schemaName } from './sql.js';

/** Timers as rows of the service's schema. Scheduling the same (tenant, purpose, due) again changes nothing but a cancelled one, which is set again. */
export class DefaultTimers extends Timers {
  private readonly table: string;
  constructor(
    private readonly pool: Pool,
    schema: string,
  ) {
    super();
    this.table = `${schemaName(schema)}.timers`;
  }

  override async schedule(tenantId: string, purpose: string, dueAt: string, payload: unknown): Promise<void> {
    await this.pool.query(
      `INSERT INTO ${this.table} AS t (tenant_id, purpose, due_at, payload, next_attempt_at) VALUES ($1, $2, $3, $4, $3)
       ON CONFLICT (tenant_id, purpose, due_at) DO UPDATE
       SET state = 'pending', payload = excluded.payload, attempts = 0, next_attempt_at = excluded.next_attempt_at WHERE t.state = 'cancelled'`,
      [tenantId, purpose, dueAt, JSON.stringify(payload ?? {})],
    );
  }

  /** All that have not fired yet, of that purpose. */
  override async cancel(tenantId: string, purpose: string): Promise<void> {
    await this.pool.query(`UPDATE ${this.table} SET state = 'cancelled' WHERE tenant_id = $1 AND purpose = $2 AND state = 'pending'`, [
      tenantId,
      purpose,
    ]);
  }
}

export interface TimerPollerParts {
  pool: Pool;
  schema: string;
  handlers: TimerHandler[];
  clock: Clock;
  scheduler: Scheduler;
  logger: Logger;
  pollMs?: number;
}
interface DueRow {
  tenant_id: string;
  purpose: string;
  /** As Postgres writes it: exact, so that it finds its row again. */
  due: string;
  due_at: Date;
  payload: unknown;
  attempts: number;
}

const leaseMs = 30_000;
const batchSize = 50;
const maxAttempts = 20;

/** Fires what is due by the injected clock, at least once; the command id is the same every time. */
export class TimerPoller {
  private readonly table: string;
  private readonly handlers: Map<string, TimerHandler>;
  private timer: Timer | undefined;
  private polling: Promise<void> | null = null;

  constructor(private readonly parts: TimerPollerParts) {
    this.table = `${schemaName(parts.schema)}.timers`;
    this.handlers = new Map(parts.handlers.map((handler) => [handler.purpose, handler]));
  }

  start(): void {
    if (this.handlers.size > 0) this.timer = this.parts.scheduler.setInterval(() => void this.poll(), this.parts.pollMs ?? 1_000);
  }

  async stop(): Promise<void> {
    this.timer?.cancel();
    await this.polling;
  }

  /** Also for tests that have moved their clock. */
  poll(): Promise<void> {
    this.polling ??= this.fireDue()
      .catch((error: unknown) => this.parts.logger.warn({ err: error }, 'Due timers could not be read; the next poll tries again'))
      .finally(() => {
        this.polling = null;
      });
    return this.polling;
  }

  private async fireDue(): Promise<void> {
    for (;;) {
      const now = this.parts.clock.now();
      const { rows } = await this.parts.pool.query<DueRow>(
        `UPDATE ${this.table} t SET attempts = t.attempts + 1, next_attempt_at = $2::timestamptz + $3 * interval '1 ms'
         FROM (SELECT tenant_id, purpose, due_at FROM ${this.table}
               WHERE state = 'pending' AND next_attempt_at <= $2 AND purpose = ANY($1)
               ORDER BY next_attempt_at LIMIT ${batchSize} FOR UPDATE SKIP LOCKED) d
         WHERE t.tenant_id = d.tenant_id AND t.purpose = d.purpose AND t.due_at = d.due_at
         RETURNING t.tenant_id, t.purpose, t.due_at::text AS due, t.due_at, t.payload, t.attempts`,
        [[...this.handlers.keys()], now, leaseMs],
      );
      const outcomes = await Promise.all(rows.map((row) => this.fire(row)));
      if (outcomes.length > 0) await this.record(outcomes, now);
      if (rows.length < batchSize) return;
    }
  }

  private async fire(row: DueRow): Promise<DueRow & { state: string; delay: number; error: string | null }> {
    const dueAt = row.due_at.toISOString();
    try {
      await this.handlers.get(row.purpose)?.fire({
        tenantId: row.tenant_id,
        purpose: row.purpose,
        dueAt,
        payload: row.payload,
        commandId: derivedId('timer', row.tenant_id, row.purpose, dueAt),
      });
      return { ...row, state: 'fired', delay: 0, error: null };
    } catch (error) {
      const text = errorText(error);
      const parked = row.attempts >= maxAttempts;
      const seen = { tenantId: row.tenant_id, purpose: row.purpose, dueAt, attempt: row.attempts, error: text };
      if (parked) this.parts.logger.error(seen, 'A timer is parked');
      else this.parts.logger.warn(seen, 'A timer will be fired again');
      return {
        ...row,
        state: parked ? 'parked' : 'pending',
        delay: backoffMs(row.attempts, 1_000, 300_000, () => this.parts.scheduler.random()),
        error: text.replaceAll('\0', '').slice(0, 4_000),
      };
    }
  }

  private async record(outcomes: Awaited<ReturnType<TimerPoller['fire']>>[], now: string): Promise<void> {
    await this.parts.pool.query(
      `UPDATE ${this.table} t
       SET state = r.state, last_error = r.error, fired_at = CASE r.state WHEN 'fired' THEN $2::timestamptz END,
           parked_at = CASE r.state WHEN 'parked' THEN now() END,
           next_attempt_at = $2::timestamptz + r.delay * interval '1 ms'
       FROM json_to_recordset($1::json) AS r(tenant_id uuid, purpose text, due timestamptz, state text, delay int, error text)
       WHERE t.tenant_id = r.tenant_id AND t.purpose = r.purpose AND t.due_at = r.due AND t.state = 'pending'`,
      [
        JSON.stringify(
          outcomes.map(({ tenant_id, purpose, due, state, delay, error }) => ({ tenant_id, purpose, due, state, delay, error })),
        ),
        now,
      ],
    );
  }
}
