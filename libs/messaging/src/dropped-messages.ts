import type { Broker, OutgoingMessage, StoredMessage } from './broker.js';
import type { Sent } from './send-in-order.js';

/**
 * A stream that drops a message because it knows the id may have another event under it (history was rewritten), or nothing at all
 * (it was purged: ids outlive messages). So what was dropped is looked at.
 * @returns the messages that were dropped and whose events the stream does not hold
 */
export async function droppedButNotHeld(broker: Broker, sent: Sent[]): Promise<OutgoingMessage[]> {
  const dropped = sent.filter(({ acknowledgement }) => acknowledgement.duplicate);
  if (dropped.length === 0) return [];
  const held = await heldAt(
    broker,
    dropped.map(({ acknowledgement }) => acknowledgement.sequence),
  );
  return dropped
    .filter(({ message: { event }, acknowledgement }) => {
      const found = held.get(acknowledgement.sequence);
      return found?.tenantId !== event.tenantId || found.position !== event.position || found.eventId !== event.id;
    })
    .map(({ message }) => message);
}

async function heldAt(broker: Broker, sequences: number[]): Promise<Map<number, StoredMessage>> {
  if (sequences.length <= 16) {
    const found = await Promise.all(sequences.map((sequence) => broker.message(sequence)));
    return new Map(found.flatMap((message) => (message ? [[message.sequence, message]] : [])));
  }
  const wanted = new Set(sequences);
  const held = new Map<number, StoredMessage>();
  const { from, to } = sequences.reduce((range, at) => ({ from: Math.min(range.from, at), to: Math.max(range.to, at) }), {
    from: Number.POSITIVE_INFINITY,
    to: 0,
  });
  for await (const page of broker.scan(from, to))
    for (const message of page) if (wanted.has(message.sequence)) held.set(message.sequence, message);
  return held;
}
