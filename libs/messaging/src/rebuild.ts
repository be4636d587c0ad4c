import type { EventStore } from '@tenantry/event-store/port';
import type { Applied } from './checkpoints.js';
import { apply, type Consumer } from './consumer.js';
import type { RowsTransaction } from './consumer-rows.js';

/** Why a tenant's rows can't be carried on from its checkpoint. */
export type RebuildReason = 'version' | 'rewritten' | 'beyond-head';

/** A handler threw while the rows were refilled. */
export class RebuildFailure extends Error {
  constructor(
    readonly event: { tenantId: string; position: number; id: string; type: string },
    cause: unknown,
  ) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
  }
}

const pageSize = 1_000;

/**
 * Within one transaction: empties the consumer's tables of the tenant's rows and refills them from the log, page by page; readers see
 * the old rows until the commit. Effects up to the old checkpoint aren't asked for again; after a rewritten history, where positions
 * mean nothing, their ids decide.
 */
export async function rebuild(
  tx: RowsTransaction,
  store: EventStore,
  consumer: Consumer,
  tenantId: string,
  reason: RebuildReason,
): Promise<{ applied: Applied | null; scannedTo: number; events: number }> {
  const before = await tx.lock(tenantId);
  const effectsAfter = reason === 'version' ? (before?.position ?? -1) : -1;
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
    const { changes, effects, last, failure } = apply(consumer, slice.events, effectsAfter);
    if (failure) throw new RebuildFailure(failure.event, failure.error);
    await tx.write(changes, effects);
    if (last) applied = { position: last.position, eventId: last.id };
    events += slice.events.length;
    if (!more) break;
  }
  await tx.reset(tenantId, applied);
  return { applied, scannedTo, events };
}
