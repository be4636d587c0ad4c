import { randomUUID } from 'node:crypto';
import type { EventMetadata } from '@tenantry/contracts/events';
import { bodyHash } from '@tenantry/event-store/hash';
import type { AppendCommand } from '@tenantry/event-store/port';

/** What every side of a comparison writes: a small event as services write them. */
export const payload = (n: number) => ({ orderId: `order-${n}`, plan: 'business', seats: 25 + (n % 10), note: 'x'.repeat(120) });

/** One command with `events` events, hashes computed as services do. */
export function appendCommand(tenantId: string, stream: string, expectedVersion: number, events = 1): AppendCommand {
  const commandId = randomUUID();
  const metadata: EventMetadata = { commandId, actor: { kind: 'service', id: 'bench' } };
  return {
    tenantId,
    commandId,
    requestHmac: null,
    stream,
    expectedVersion,
    events: Array.from({ length: events }, (_, index) => {
      const body = {
        id: randomUUID(),
        context: 'tenant' as const,
        type: 'BenchHappened',
        version: 1,
        data: payload(index),
        metadata,
      };
      return { ...body, bodyHash: bodyHash({ tenantId, stream, ...body }) };
    }),
  };
}
