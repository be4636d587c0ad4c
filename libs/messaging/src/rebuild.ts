import type { StoredEvent } from '@tenantry/contracts/events';
import type { EventStore } from '@tenantry/event-store/port';
import type { Caution } from './caution.js';
import type { Applied } from './checkpoints.js';
import { apply, type Consumer, type Applied as Outcome } from './consumer.js';
import type { RowsTransaction } from './consumer-rows.js';
import { effectsKnownMs } from './effects.js';
import type { Failures } from './failures.js';
import type { Scheduler } from './scheduler.js';
import { isTransient } from './sql.js';

/** Why a tenant's rows can't be carried on from its checkpoint. */
export type RebuildReason = 'version' | 'rewritten' | 'beyond-head' | 'requested';

/** A handler threw while the rows were refilled. */
export class RebuildFailure extends Error {
  constructor(
    readonly event: { tenantId: string; position: number; id: string; type: string },
    cause: unknown,
  ) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
  }
}

/** The database refused one of several events. */
export class Refused extends Error {
  constructor(
    readonly tenantId: string,
    readonly untilPosition: number,
    cause: unknown,
  ) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
  }
}

const pageSize = 1_000;

export interface RebuildParts {
  store: EventStore;
  consumer: Consumer;
  failures: Failures;
  caution: Caution;
  scheduler: Scheduler;
}

/**
 * Within one transaction: empties the consumer's tables of the tenant's rows and refills them from the log, page by page; readers see
 * the old rows until the commit. Effects up to the old checkpoint aren't asked for again. After a rewritten history, where positions
 * mean nothing, their ids decide, and for events that are older than the effects that are kept: they were before the rewriting.
 */
export async function rebuild(
  tx: RowsTransaction,
  { store, consumer, failures, caution, scheduler }: RebuildParts,
  tenantId: string,
  reason: RebuildReason,
): Promise<{ applied: Applied | null; scannedTo: number; events: number }> {
  const before = await tx.lock(tenantId);
  const isRewritten = reason === 'rewritten' || reason === 'beyond-head';
  const knownSince = new Date(scheduler.wallMs() - effectsKnownMs).toISOString();
  const asks = (event: StoredEvent) => (isRewritten ? event.recordedAt >= knownSince : event.position > (before?.position ?? -1));
  await tx.empty(tenantId);
  let applied: Applied | null = null;
  let scannedTo = -1;
  let events = 0;
  const read = (from: number) => store.readLog(tenantId, from, { types: consumer.types, limit: pageSize });
  for (let reading = read(0); ; ) {
    const slice = await reading;
    scannedTo = slice.scannedTo;
    const more = scannedTo < slice.head;
    // The next page is read while this one is written: two pages in memory, not the log.
    if (more) {
      reading = read(scannedTo + 1);
      reading.catch(() => undefined);
    }
    const first = slice.events[0];
    // Page by page, or event by event to find the one at fault.
    const batches =
      first && failures.isSuspect(consumer.name, tenantId, first.position) ? slice.events.map((event) => [event]) : [slice.events];
    for (const batch of batches) {
      const { last, failure } = await caution.around(consumer.name, [batch], async () => {
        const result = apply(consumer, batch, { asks, skipped: failures.skipped(consumer.name, tenantId) });
        if (!result.failure) await written(tx, result, batch);
        return result;
      });
      if (failure) throw new RebuildFailure(failure.event, failure.error);
      if (last) applied = { position: last.position, eventId: last.id };
    }
    events += slice.events.length;
    if (!more) break;
  }
  await tx.reset(tenantId, applied);
  return { applied, scannedTo, events };
}

/** Writes a page. What the database refuses of several events is narrowed down by the next try; of one, that event is at fault. */
async function written(tx: RowsTransaction, { changes, effects }: Outcome, batch: StoredEvent[]): Promise<void> {
  try {
    await tx.write(changes, effects);
  } catch (error) {
    const [first, last] = [batch[0], batch.at(-1)];
    if (isTransient(error) || !first || !last) throw error;
    if (batch.length === 1) throw new RebuildFailure(first, error);
    throw new Refused(first.tenantId, last.position, error);
  }
}
