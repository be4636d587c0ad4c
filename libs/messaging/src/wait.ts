import { setTimeout as sleep } from 'node:timers/promises';
import { DomainError } from '@tenantry/contracts/errors';
import type { EventStore } from '@tenantry/event-store/port';
import type { Tenants } from '@tenantry/tenancy/tenants';
import type { Pool } from 'pg';
import { Checkpoints } from './checkpoints.js';
import { type Consumer, consumerOf } from './consumer.js';
import type { ProcessManager, Projection } from './projection.js';
import type { Runner } from './runner.js';
import { serviceConsumer } from './service-pass.js';
import { schemaName } from './sql.js';

export interface ReadPositionParts {
  service: string;
  pool: Pool;
  schema: string;
  store: EventStore;
  tenants: Tenants;
  projections: Projection[];
  processes: ProcessManager[];
  /** Of this process, where it has one: it is asked to hurry. */
  runner?: Runner;
}

/** For reads that name a position (`Tenantry-Min-Position`). */
export class ReadPosition {
  private readonly consumers: Record<Projection['placement'], Consumer | null>;

  constructor(private readonly parts: ReadPositionParts) {
    const { projections, processes } = parts;
    this.consumers = { service: consumerOf('service', projections, processes), tenant: consumerOf('tenant', projections, processes) };
  }

  /**
   * True when the rows of that placement hold everything of the tenant's log up to the position: no event of the handled types lies
   * between the checkpoint and it. False after `timeoutMs`: the answer is to be marked `Tenantry-Stale: true`.
   */
  async waitFor(placement: Projection['placement'], tenantId: string, minPosition: number, timeoutMs = 2_000): Promise<boolean> {
    const consumer = this.consumers[placement];
    if (!consumer) return true;
    const { runner, store } = this.parts;
    const endMs = performance.now() + timeoutMs;
    for (;;) {
      if ((runner?.scannedTo(placement, tenantId) ?? -1) >= minPosition) return true;
      const position = await this.position(placement, consumer, tenantId);
      if (position >= minPosition) return true;
      const { events, scannedTo } = await store.readLog(tenantId, position + 1, { types: consumer.types, limit: 1 });
      const next = events[0]?.position ?? Number.POSITIVE_INFINITY;
      // A position beyond the log's end is nobody's: nothing to wait for, but nothing to vouch for either.
      if (next > minPosition && scannedTo >= minPosition) return true;
      const leftMs = endMs - performance.now();
      if (leftMs <= 0) return false;
      if (runner) await runner.look(placement, tenantId, Math.min(leftMs, 250));
      await sleep(Math.min(Math.max(endMs - performance.now(), 0), runner ? 10 : 50));
    }
  }

  private async position(placement: Projection['placement'], consumer: Consumer, tenantId: string): Promise<number> {
    const { pool, schema, service, tenants } = this.parts;
    if (placement === 'service') {
      const checkpoints = new Checkpoints(`${schemaName(schema)}.checkpoints`, serviceConsumer, consumer.version);
      return (await checkpoints.read(pool, [tenantId])).get(tenantId)?.position ?? -1;
    }
    const checkpoints = new Checkpoints('checkpoints', service, consumer.version);
    try {
      return await tenants.withTenant(
        tenantId,
        async ({ client }) => (await checkpoints.read(client, [tenantId])).get(tenantId)?.position ?? -1,
      );
    } catch (error) {
      if (error instanceof DomainError && error.code === 'placement.not_found') return -1;
      throw error;
    }
  }
}
