import type { Logger } from '@tenantry/observability/logger';
import type { Pool } from 'pg';
import { effectsKeptMs } from './effects.js';
import type { Scheduler, Timer } from './scheduler.js';
import { schemaName } from './sql.js';

const everyMs = 600_000;
const batchSize = 1_000;

/** Deletes effects that were done and timers that have fired long ago, some at a time. What is parked stays. */
export class Retention {
  private timer: Timer | undefined;
  private round: Promise<void> | null = null;
  private stopped = false;
  private readonly schema: string;

  constructor(private readonly parts: { pool: Pool; schema: string; scheduler: Scheduler; logger: Logger }) {
    this.schema = schemaName(parts.schema);
  }

  start(): void {
    this.timer = this.parts.scheduler.setInterval(() => void this.run(), everyMs);
  }

  async stop(): Promise<void> {
    this.stopped = true;
    this.timer?.cancel();
    await this.round;
  }

  /** One round at a time. */
  run(): Promise<void> {
    this.round ??= this.deleteOld()
      .catch((error: unknown) =>
        this.parts.logger.warn({ err: error }, 'Old effects and timers could not be deleted; the next round tries again'),
      )
      .finally(() => {
        this.round = null;
      });
    return this.round;
  }

  private async deleteOld(): Promise<void> {
    await this.deleteAll('effects', "state = 'done'");
    await this.deleteAll('timers', "state IN ('fired', 'cancelled')");
    await this.deleteAll('rebuilds', "state <> 'pending'");
  }

  private async deleteAll(table: string, over: string): Promise<void> {
    for (;;) {
      const { rowCount } = await this.parts.pool.query(
        `DELETE FROM ${this.schema}.${table} WHERE ctid = ANY (ARRAY(
           SELECT ctid FROM ${this.schema}.${table} WHERE ${over} AND next_attempt_at < now() - $1::float8 * interval '1 ms'
           LIMIT ${batchSize} FOR UPDATE SKIP LOCKED))`,
        [effectsKeptMs],
      );
      if (this.stopped || (rowCount ?? 0) < batchSize) return;
    }
  }
}
