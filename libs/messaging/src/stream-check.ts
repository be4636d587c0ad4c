import type { StoredMessage, StreamState } from './broker.js';

/** Everything that was stored after `sequence` is younger than `atMs` (since 1970). */
export interface Mark {
  sequence: number;
  atMs: number;
}

/** What is written down of the stream. */
export interface StreamRecord {
  /** Rises with every loss; whoever publishes looks its logs through once in every epoch. */
  epoch: number;
  created: string;
  leader: string;
  deleted: number;
  /** The highest last sequence that anybody has seen in this epoch. */
  seen: number;
  marks: Mark[];
}

/** The stream keeps a message this long, so that much is published again at most. */
export const retentionMs = 7 * 24 * 3_600_000;
/** Between two marks; a purge of what is within this of its end anyway goes unnoticed. */
export const markEveryMs = 600_000;

/**
 * Why the stream cannot hold all that it acknowledged; null where nothing says so. A message leaves it at its age, and for no other
 * reason: what is gone from the front must be older than the retention, and nothing may be gone from the middle.
 * @param acknowledged the highest sequence that was acknowledged to us
 */
export function lossOf(record: StreamRecord, state: StreamState, acknowledged: number, nowMs: number): string | null {
  if (state.created !== record.created) return 'the stream was made anew';
  if (state.lastSequence < Math.max(acknowledged, record.seen)) return 'acknowledged messages are gone from its end';
  if (state.deleted > record.deleted) return 'messages were deleted';
  const oldest = record.marks.find(({ atMs }) => atMs > nowMs - retentionMs + markEveryMs);
  if (oldest && state.firstSequence > oldest.sequence + 1) return 'messages were purged before their time';
  if (state.leader !== record.leader) return 'another server leads it';
  return null;
}

/** Does the stream still hold what it acknowledged under this sequence? What has reached its age may be gone. */
export const stillHolds = (acknowledged: StoredMessage, found: StoredMessage | null, state: StreamState): boolean =>
  acknowledged.sequence < state.firstSequence ||
  (found !== null &&
    found.tenantId === acknowledged.tenantId &&
    found.position === acknowledged.position &&
    found.eventId === acknowledged.eventId);

/** The marks from now on: one more where the last is old enough, without those that say nothing any more; null where they stay. */
export function nextMarks(marks: Mark[], lastSequence: number, nowMs: number): Mark[] | null {
  const last = marks.at(-1);
  if (last && last.atMs <= nowMs && last.atMs > nowMs - markEveryMs) return null;
  // Where the wall clock was set back, what was before that cannot be later than now.
  const past = marks.map(({ sequence, atMs }) => ({ sequence, atMs: Math.min(atMs, nowMs) }));
  return [...past.filter(({ atMs }) => atMs > nowMs - retentionMs), { sequence: lastSequence, atMs: nowMs }];
}

/** The marks after a loss: what is still there must not vanish unnoticed later. */
export function marksAfterLoss(record: StreamRecord, state: StreamState, nowMs: number): Mark[] {
  const gone = state.firstSequence - 1;
  const last = { sequence: state.lastSequence, atMs: nowMs };
  if (record.created !== state.created) return [{ sequence: gone, atMs: Math.min(nowMs, Date.parse(state.created)) }, last];
  const reached = record.marks.findLast(({ sequence }) => sequence <= gone);
  const front = reached ? [{ sequence: gone, atMs: reached.atMs }] : [];
  return [...front, ...record.marks.filter(({ sequence }) => sequence > gone && sequence < state.lastSequence), last];
}
