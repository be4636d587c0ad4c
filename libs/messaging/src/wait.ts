import { DomainError } from '@tenantry/contracts/errors';
import type { EventStore } from '@tenantry/event-store/port';
import { type Consumer, consumerOf } from './consumer.js';
import type { ConsumerRows, RunnerStorage } from './consumer-rows.js';
import type { ProcessManager, Projection } from './projection.js';
import type { Runner } from './runner.js';
import type { Scheduler, Timer } from './scheduler.js';
import { isTransient } from './sql.js';

export interface ReadPositionParts {
  service: string;
  storage: RunnerStorage;
  store: EventStore;
  scheduler: Scheduler;
  projections: Projection[];
  processes: ProcessManager[];
  /** Of this process, where it has one: it is asked to hurry. */
  runner?: Runner;
}

/** For reads that name a position (`Tenantry-Min-Position`). */
export class ReadPosition {
  private readonly consumers: Record<Projection['placement'], { consumer: Consumer; rows: ConsumerRows } | null>;

  constructor(private readonly parts: ReadPositionParts) {
    const { service, storage, projections, processes } = parts;
    const of = (placement: Projection['placement']) => {
      const consumer = consumerOf(service, placement, projections, processes);
      return consumer && { consumer, rows: storage.rows(consumer) };
    };
    this.consumers = { service: of('service'), tenant: of('tenant') };
  }

  /**
   * True when the rows of that placement hold everything of the tenant's log up to the position: no event of the handled types lies
   * between the checkpoint and it. False after `timeoutMs`: the answer is to be marked `Tenantry-Stale: true`.
   */
  async waitFor(placement: Projection['placement'], tenantId: string, minPosition: number, timeoutMs = 2_000): Promise<boolean> {
    const found = this.consumers[placement];
    if (!found) return true;
    const { runner, store, scheduler } = this.parts;
    const endMs = scheduler.nowMs() + timeoutMs;
    for (;;) {
      if ((runner?.scannedTo(placement, tenantId) ?? -1) >= minPosition) return true;
      const position = await this.position(found.rows, tenantId, endMs);
      if (position >= minPosition) return true;
      const { events, scannedTo } = await store.readLog(tenantId, position + 1, { types: found.consumer.types, limit: 1 });
      const next = events[0]?.position ?? Number.POSITIVE_INFINITY;
      // A position beyond the log's end is nobody's: nothing to wait for, but nothing to vouch for either.
      if (next > minPosition && scannedTo >= minPosition) return true;
      const leftMs = endMs - scheduler.nowMs();
      if (leftMs <= 0) return false;
      if (runner) await runner.look(placement, tenantId, Math.min(leftMs, 250));
      await scheduler.sleep(Math.min(Math.max(endMs - scheduler.nowMs(), 0), runner ? 10 : 50));
    }
  }

  /** -1 where it can't be known in time: the tenant has no place yet, or its database is away. */
  private async position(rows: ConsumerRows, tenantId: string, endMs: number): Promise<number> {
    const { scheduler } = this.parts;
    const read = rows.checkpoints([tenantId]).then(
      (found) => found.get(tenantId)?.position ?? -1,
      (error: unknown) => {
        if (isTransient(error) || (error instanceof DomainError && error.code === 'placement.not_found')) return -1;
        throw error;
      },
    );
    let timer: Timer | undefined;
    const late = new Promise<number>((resolve) => {
      timer = scheduler.setTimeout(() => resolve(-1), Math.max(0, endMs - scheduler.nowMs()));
    });
    return Promise.race([read, late]).finally(() => timer?.cancel());
  }
}
