import type { Acknowledgement, Broker, OutgoingMessage } from './broker.js';

export interface SendLimits {
  /** Messages and bytes that are under way to the broker at once. */
  maxPendingMessages: number;
  maxPendingBytes: number;
}
export interface SendWatch {
  /** Asked before each message. */
  allowed: (tenantId: string) => boolean;
  /** Asked when a message is sent; `acknowledged` gets the answer back. */
  marked: () => number;
  acknowledged: (acknowledgement: Acknowledgement, mark: number) => void;
}
export interface Sent {
  message: OutgoingMessage;
  acknowledgement: Acknowledgement;
}
/** Of one log: what was acknowledged without a hole, and what stopped it. */
export interface SentLog {
  sent: Sent[];
  error: unknown;
}

/**
 * Sends without waiting for each acknowledgement. Where one isn't acknowledged, the rest of its log isn't sent, and nothing after it counts.
 */
export async function sendInOrder(
  broker: Broker,
  messages: Iterable<OutgoingMessage>,
  { allowed, marked, acknowledged }: SendWatch,
  { maxPendingMessages, maxPendingBytes }: SendLimits,
): Promise<Map<string, SentLog>> {
  const logs = new Map<string, { message: OutgoingMessage; acknowledgement: Acknowledgement | null }[]>();
  const failed = new Map<string, unknown>();
  let pending = 0;
  let bytes = 0;
  let freed: (() => void) | null = null;
  const wait = () =>
    new Promise<void>((resolve) => {
      freed = resolve;
    });
  for (const message of messages) {
    const { tenantId } = message.event;
    const size = message.body.length;
    while (pending > 0 && (pending >= maxPendingMessages || bytes + size > maxPendingBytes)) await wait();
    if (failed.has(tenantId)) continue;
    if (!allowed(tenantId)) {
      failed.set(tenantId, null);
      continue;
    }
    const entry: { message: OutgoingMessage; acknowledgement: Acknowledgement | null } = { message, acknowledgement: null };
    const log = logs.get(tenantId);
    if (log) log.push(entry);
    else logs.set(tenantId, [entry]);
    pending += 1;
    bytes += size;
    const sentAt = marked();
    const done = () => {
      pending -= 1;
      bytes -= size;
      // Not at each: waking up costs more than a message.
      if (pending === 0 || (pending <= maxPendingMessages * 0.75 && bytes <= maxPendingBytes * 0.75)) freed?.();
    };
    broker.publish(message).then(
      (acknowledgement) => {
        entry.acknowledgement = acknowledgement;
        acknowledged(acknowledgement, sentAt);
        done();
      },
      (error: unknown) => {
        if (!failed.has(tenantId)) failed.set(tenantId, error);
        done();
      },
    );
  }
  while (pending > 0) await wait();
  const result = new Map<string, SentLog>();
  for (const tenantId of failed.keys()) if (!logs.has(tenantId)) logs.set(tenantId, []);
  for (const [tenantId, entries] of logs) {
    const sent: Sent[] = [];
    for (const { message, acknowledgement } of entries) {
      if (!acknowledgement) break;
      sent.push({ message, acknowledgement });
    }
    result.set(tenantId, { sent, error: failed.get(tenantId) });
  }
  return result;
}
