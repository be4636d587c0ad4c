import type { Logger } from '@tenantry/observability/logger';
import { errorText } from '@tenantry/observability/redact';
import type { Pool } from 'pg';
import { backoffMs } from './backoff.js';
import { CheckpointLocked } from './consumer-rows.js';
import { Refused } from './rebuild.js';
import type { Scheduler, Timer } from './scheduler.js';
import { isTransient, schemaName } from './sql.js';

export interface RebuildsParts {
  pool: Pool;
  schema: string;
  scheduler: Scheduler;
  logger: Logger;
  /** Rebuilds one tenant's rows of a consumer. Gives the number of events. */
  rebuild: (consumer: string, tenantId: string) => Promise<number>;
  pollMs?: number;
}
interface Row {
  operation_id: string;
  consumer: string;
  tenant_id: string;
  attempts: number;
}

const concurrency = 2;
/** A rebuild of a log of millions takes minutes. Doing one twice does no harm. */
const leaseMs = 900_000;
const maxAttempts = 5;

/** Does the rebuilds that operators have asked for, a few at a time; several replicas share them by leases. */
export class Rebuilds {
  private readonly table: string;
  private timer: Timer | undefined;
  private round: Promise<void> | null = null;
  private stopped = true;

  constructor(private readonly parts: RebuildsParts) {
    this.table = `${schemaName(parts.schema)}.rebuilds`;
  }

  start(): void {
    this.stopped = false;
    this.timer = this.parts.scheduler.setInterval(() => this.wake(), this.parts.pollMs ?? 2_000);
  }

  /** Waits for what runs: what is left is taken up by others, or after the next start. */
  async stop(): Promise<void> {
    this.stopped = true;
    this.timer?.cancel();
    await this.round;
  }

  wake(): void {
    if (this.stopped) return;
    this.round ??= this.work()
      .catch((error: unknown) => this.parts.logger.warn({ err: error }, 'Rebuilds could not be read; the next poll tries again'))
      .finally(() => {
        this.round = null;
      });
  }

  private async work(): Promise<void> {
    while (!this.stopped) {
      const rows = await this.claim();
      if (rows.length === 0) return;
      await Promise.all(rows.map((row) => this.one(row)));
    }
  }

  private async claim(): Promise<Row[]> {
    const { rows } = await this.parts.pool.query<Row>(
      `UPDATE ${this.table} r SET attempts = r.attempts + 1, next_attempt_at = now() + $1::float8 * interval '1 ms'
       FROM (SELECT operation_id, tenant_id FROM ${this.table} WHERE state = 'pending' AND next_attempt_at <= now()
             ORDER BY next_attempt_at LIMIT $2 FOR UPDATE SKIP LOCKED) due
       WHERE r.operation_id = due.operation_id AND r.tenant_id = due.tenant_id
       RETURNING r.operation_id, r.consumer, r.tenant_id, r.attempts`,
      [leaseMs, concurrency],
    );
    return rows;
  }

  private async one(row: Row): Promise<void> {
    const { scheduler, logger, rebuild } = this.parts;
    const begunMs = scheduler.nowMs();
    try {
      const events = await rebuild(row.consumer, row.tenant_id);
      await this.record(row, { state: 'succeeded', events, durationMs: scheduler.nowMs() - begunMs, error: null, delayMs: 0 });
    } catch (error) {
      const text = errorText(error);
      // Not its fault: the server is away, or a pass has the checkpoint right now. It doesn't count as long as somebody may wait.
      const isPassing = isTransient(error) || error instanceof CheckpointLocked || error instanceof Refused;
      const isOver = row.attempts >= (isPassing ? maxAttempts * 10 : maxAttempts);
      logger[isOver ? 'error' : 'warn'](
        { consumer: row.consumer, tenantId: row.tenant_id, attempt: row.attempts, error: text },
        'A rebuild failed',
      );
      const delayMs = backoffMs(row.attempts, 200, 30_000, () => scheduler.random());
      await this.record(row, {
        state: isOver ? 'failed' : 'pending',
        events: null,
        durationMs: scheduler.nowMs() - begunMs,
        error: text.replaceAll('\0', '').slice(0, 4_000),
        delayMs,
      });
    }
  }

  private async record(
    row: Row,
    outcome: { state: string; events: number | null; durationMs: number; error: string | null; delayMs: number },
  ): Promise<void> {
    await this.parts.pool.query(
      `UPDATE ${this.table} SET state = $3, events = $4, duration_ms = $5, error = $6, next_attempt_at = now() + $7::float8 * interval '1 ms'
       WHERE operation_id = $1 AND tenant_id = $2 AND state = 'pending'`,
      [row.operation_id, row.tenant_id, outcome.state, outcome.events, Math.round(outcome.durationMs), outcome.error, outcome.delayMs],
    );
  }
}
