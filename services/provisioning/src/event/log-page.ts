import type { StoredEvent } from '@tenantry/contracts/events';
import type { TenantLog } from '@tenantry/event-store/tenant-log';

/** An answer has to fit into a message of the bus, envelope included. */
export const PAGE_BYTES = 480 * 1024;
const FIRST_PORTION = 32;

export interface LogPage {
  events: StoredEvent[];
  /** Last position of the log, -1 for an empty one. */
  head: number;
}

export const bytesOf = (value: unknown): number => Buffer.byteLength(JSON.stringify(value));

/**
 * Events from a position on: at most `limit`, and no more than fit into an answer, but at least one where there is one.
 * Read in portions as large as what came before lets expect, so that a log of large events never fills the memory.
 */
export async function readPage(log: Pick<TenantLog, 'readLog'>, tenantId: string, from: number, limit: number): Promise<LogPage> {
  const events: StoredEvent[] = [];
  let bytes = 0;
  for (let portion = Math.min(limit, FIRST_PORTION); ; ) {
    const slice = await log.readLog(tenantId, from + events.length, { limit: portion });
    for (const event of slice.events) {
      bytes += bytesOf(event);
      if (bytes > PAGE_BYTES && events.length > 0) return { events, head: slice.head };
      events.push(event);
    }
    if (slice.events.length < portion || events.length >= limit) return { events, head: slice.head };
    const fitting = Math.floor((PAGE_BYTES - bytes) / (bytes / events.length)) + 1;
    portion = Math.max(1, Math.min(limit - events.length, fitting));
  }
}
