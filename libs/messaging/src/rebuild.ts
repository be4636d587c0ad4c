import type { EventStore } from '@tenantry/event-store/port';
import type { ClientBase } from 'pg';
import type { Applied, Checkpoints } from './checkpoints.js';
import { apply, type Consumer, type OutboxRow } from './consumer.js';
import { foldChanges } from './fold.js';
import { runAll } from './sql.js';
import { emptying, statementsOf } from './write.js';

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

const pageSize = 500;

/**
 * Within the transaction that `client` is in: empties the consumer's tables of the tenant's rows and refills them from the log,
 * page by page; readers see the old rows until the commit. Effects up to the old checkpoint aren't asked for again; after a rewritten
 * history, where positions mean nothing, their ids decide.
 */
export async function rebuild(
  client: ClientBase,
  store: EventStore,
  consumer: Consumer,
  checkpoints: Checkpoints,
  tenantId: string,
  reason: RebuildReason,
  writeEffects: (client: ClientBase, effects: OutboxRow[]) => Promise<void>,
): Promise<{ applied: Applied | null; scannedTo: number; events: number }> {
  const before = (await checkpoints.read(client, [tenantId], { lock: true })).get(tenantId);
  const effectsAfter = reason === 'version' ? (before?.position ?? -1) : -1;
  await runAll(
    client,
    consumer.tables.flatMap((table) => emptying(table, tenantId) ?? []),
  );
  let applied: Applied | null = null;
  let scannedTo = -1;
  let events = 0;
  for (;;) {
    const slice = await store.readLog(tenantId, scannedTo + 1, { types: consumer.types, limit: pageSize });
    const { changes, effects, last, failure } = apply(consumer, slice.events, effectsAfter);
    if (failure) throw new RebuildFailure(failure.event, failure.error);
    await runAll(client, statementsOf(foldChanges(changes)));
    await writeEffects(client, effects);
    if (last) applied = { position: last.position, eventId: last.id };
    events += slice.events.length;
    scannedTo = slice.scannedTo;
    if (scannedTo >= slice.head) break;
  }
  await checkpoints.reset(client, tenantId, applied);
  return { applied, scannedTo, events };
}
