import type { Logger } from '@tenantry/observability/logger';
import type { Broker } from './broker.js';
import { bucketOf } from './leases.js';
import { PositionRanges } from './position-ranges.js';
import type { Audited, Finding, RelayStorage } from './relay-storage.js';

interface AuditParts {
  broker: Broker;
  storage: RelayStorage;
  logger: Logger;
  owner: string;
}
/** Of one log, what the stream holds. */
interface Held {
  events: PositionRanges;
  /** Messages at positions where the log has another event, or none. */
  strange: { from: number; to: number } | null;
}

/**
 * Looks through the whole stream, and writes down for the logs of these buckets which published positions it lacks, and which message ids
 * are taken by events that the log doesn't have. Memory: ranges per log.
 * @returns the logs with findings; null where it doesn't count, because the epoch is over or a bucket was lost meanwhile
 */
export async function auditLogs(
  { broker, storage, logger, owner }: AuditParts,
  epoch: number,
  buckets: number[],
  through: number,
  retentionMs: number,
  taken: ReadonlyMap<string, PositionRanges>,
): Promise<string[] | null> {
  const wanted = new Set(buckets);
  const held = new Map<string, Held>();
  for await (const page of broker.scan(1, through)) {
    const messages = page.filter(({ tenantId }) => wanted.has(bucketOf(tenantId)));
    const strangers = new Set(await storage.strangers(messages));
    for (const message of messages) {
      const { tenantId, position } = message;
      const log = held.get(tenantId) ?? { events: new PositionRanges(), strange: null };
      held.set(tenantId, log);
      if (!strangers.has(message)) log.events.add(position);
      else if (log.strange === null) log.strange = { from: position, to: position };
      else log.strange = { from: Math.min(log.strange.from, position), to: Math.max(log.strange.to, position) };
    }
  }
  const findings: Finding[] = [];
  const seen = new Set<string>();
  for await (const page of storage.audited(buckets, retentionMs)) {
    for (const log of page) {
      seen.add(log.tenantId);
      const finding = findingOf(log, held.get(log.tenantId), taken.get(log.tenantId));
      if (finding) findings.push(finding);
    }
  }
  // Logs of which nothing is published, as far as this database knows.
  for (const tenantId of new Set([...held.keys(), ...taken.keys()])) {
    if (seen.has(tenantId) || !wanted.has(bucketOf(tenantId))) continue;
    const nothing = { tenantId, published: { position: -1, eventId: null }, rewritten: false, head: -1, firstKept: 0 };
    const finding = findingOf(nothing, held.get(tenantId), taken.get(tenantId));
    if (finding) findings.push(finding);
  }
  if (!(await storage.finishAudit(epoch, owner, buckets, findings))) return null;
  const again = findings.reduce(
    (sum, { published, renewals }) =>
      sum + renewals.reduce((n, { from, to }) => n + Math.max(0, Math.min(to, published.position) - from + 1), 0),
    0,
  );
  logger.info({ epoch, buckets: buckets.length, logs: findings.length, events: again }, 'The event stream was compared with the logs');
  return findings.map(({ tenantId }) => tenantId);
}

function findingOf(
  { tenantId, published, rewritten, head, firstKept }: Audited,
  held: Held | undefined,
  taken: PositionRanges | undefined,
): Finding | null {
  const strange = held?.strange ?? null;
  let last = published.position;
  let backTo: number | undefined;
  if (rewritten) {
    // From the first position where the stream has another event; at the latest from the one that was recorded as published.
    last = Math.min(strange?.from ?? last, last, head + 1) - 1;
    backTo = last;
  }
  const kept = { from: firstKept, to: last };
  const renewals = kept.from > kept.to ? [] : (held?.events.missing(kept) ?? [kept]);
  // Beyond what is published, ids that the stream knows from another history, or from what was purged before anybody wrote it down.
  const until = Math.max(rewritten ? published.position : -1, strange?.to ?? -1);
  const beyond = taken ?? new PositionRanges();
  for (let position = last + 1; position <= until; position++) beyond.add(position);
  renewals.push(...beyond.after(last));
  return renewals.length > 0 || backTo !== undefined ? { tenantId, published, backTo, renewals } : null;
}
