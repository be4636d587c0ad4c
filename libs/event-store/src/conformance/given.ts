import { randomUUID } from 'node:crypto';
import type { ErrorCode } from '@tenantry/contracts/errors';
import type { EventMetadata, StoredEvent } from '@tenantry/contracts/events';
import { newId } from '@tenantry/contracts/ids';
import { expect } from 'vitest';
import { bodyHash } from '../hash.js';
import type { AppendCommand, EventStore, PreparedEvent } from '../port.js';
import type { EventCatalogue } from '../upcast.js';

/** Opens a store on always the same logs, as a process that starts again does. */
export type OpenStore = (options?: { catalogue?: EventCatalogue }) => Promise<EventStore>;

export const HMAC = 'ab'.repeat(32);
export const OTHER_HMAC = 'cd'.repeat(32);

/** A command for a test: one event per entry of `data`, of a type that no catalogue knows, unless said otherwise. */
export function command(tenantId: string, given: Partial<Omit<AppendCommand, 'events'>> & { events?: EventSpec[] } = {}): AppendCommand {
  const { stream = 'thing', commandId = newId(), requestHmac = null, expectedVersion = -1 } = given;
  const specs: EventSpec[] = given.events ?? [{}];
  const metadata: EventMetadata = { commandId, actor: { kind: 'system', id: 'test' } };
  const events = specs.map(({ context = 'tenant', type = 'ThingHappened', version = 1, data = { n: 1 } }): PreparedEvent => {
    const body = { id: randomUUID(), context, type, version, data, metadata };
    return { ...body, bodyHash: bodyHash({ tenantId, stream, ...body }) };
  });
  return { tenantId, commandId, requestHmac, stream, expectedVersion, events };
}
export type EventSpec = Partial<Pick<PreparedEvent, 'context' | 'type' | 'version' | 'data'>>;

export const codeOf = (result: PromiseSettledResult<unknown>): ErrorCode | 'done' =>
  result.status === 'fulfilled' ? 'done' : result.reason.code;
export const positions = (events: StoredEvent[]) => events.map(({ position }) => position);
export const upTo = (n: number) => Array.from({ length: n }, (_, index) => index);
export const withCode = (code: ErrorCode) => expect.objectContaining({ code });

/** All events of a log, page by page. */
export async function wholeLog(
  store: EventStore,
  tenantId: string,
  options: { types?: readonly string[]; limit?: number } = {},
): Promise<StoredEvent[]> {
  const events: StoredEvent[] = [];
  for (let from = 0; ; ) {
    const slice = await store.readLog(tenantId, from, options);
    events.push(...slice.events);
    if (slice.scannedTo >= slice.head) return events;
    from = slice.scannedTo + 1;
  }
}
