import type { StoredEvent } from '@tenantry/contracts/events';
import type { Logger } from '@tenantry/observability/logger';
import type { Pool } from 'pg';
import { backoffMs } from './backoff.js';
import { schemaName } from './sql.js';

interface Failing {
  attempts: number;
  parked: boolean;
  /** While this is in the future, no run is worth it. */
  nextRetryMs: number;
}

const attemptsUntilParked = 5;
const parkedCapMs = 300_000;

/**
 * Counts how often a consumer has failed at a tenant's event. From the fifth time on the tenant is `parked`: visible as a row,
 * tried again by itself with a backoff of at most 5 minutes. Only that tenant's consumer waits.
 */
export class Failures {
  private readonly failing = new Map<string, Failing>();
  private readonly table: string;

  constructor(
    private readonly pool: Pool,
    schema: string,
    private readonly logger: Logger,
  ) {
    this.table = `${schemaName(schema)}.parked`;
  }

  /** Parked ones of before this process began. */
  async load(): Promise<void> {
    const { rows } = await this.pool.query<{ consumer: string; tenant_id: string; attempts: number; next_retry_at: Date }>(
      `SELECT consumer, tenant_id, attempts, next_retry_at FROM ${this.table}`,
    );
    for (const row of rows) {
      this.failing.set(`${row.consumer}:${row.tenant_id}`, {
        attempts: row.attempts,
        parked: true,
        nextRetryMs: row.next_retry_at.getTime(),
      });
    }
  }

  /** Milliseconds that a tenant still has to wait, 0 for none. */
  holdMs(consumer: string, tenantId: string): number {
    const failing = this.failing.get(`${consumer}:${tenantId}`);
    return failing ? Math.max(0, failing.nextRetryMs - Date.now()) : 0;
  }

  /** @returns milliseconds until the next attempt */
  async failed(consumer: string, event: Pick<StoredEvent, 'tenantId' | 'position' | 'id' | 'type'>, error: unknown): Promise<number> {
    const key = `${consumer}:${event.tenantId}`;
    const attempts = (this.failing.get(key)?.attempts ?? 0) + 1;
    const parked = attempts >= attemptsUntilParked;
    const delayMs = parked ? backoffMs(attempts - attemptsUntilParked + 1, 5_000, parkedCapMs) : backoffMs(attempts, 200, 5_000);
    const nextRetryMs = Date.now() + delayMs;
    this.failing.set(key, { attempts, parked, nextRetryMs });
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    const seen = { consumer, tenantId: event.tenantId, position: event.position, type: event.type, attempts, error: text };
    if (!parked) {
      this.logger.warn(seen, 'An event could not be applied');
      return delayMs;
    }
    this.logger.error(seen, 'An event could not be applied: the tenant is parked');
    await this.pool.query(
      `INSERT INTO ${this.table} (consumer, tenant_id, position, event_id, error, attempts, next_retry_at)
       VALUES ($1, $2, $3, $4, $5, $6, to_timestamp($7 / 1000.0))
       ON CONFLICT (consumer, tenant_id) DO UPDATE SET position = excluded.position, event_id = excluded.event_id,
         error = excluded.error, attempts = excluded.attempts, next_retry_at = excluded.next_retry_at`,
      [consumer, event.tenantId, event.position, event.id, text.slice(0, 4_000), attempts, nextRetryMs],
    );
    return delayMs;
  }

  async succeeded(consumer: string, tenantId: string): Promise<void> {
    const key = `${consumer}:${tenantId}`;
    const failing = this.failing.get(key);
    if (!failing) return;
    this.failing.delete(key);
    if (failing.parked) await this.pool.query(`DELETE FROM ${this.table} WHERE consumer = $1 AND tenant_id = $2`, [consumer, tenantId]);
  }
}
