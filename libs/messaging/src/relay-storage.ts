import type { StoredMessage, StreamState } from './broker.js';
import type { Range } from './position-ranges.js';
import type { Mark, StreamRecord } from './stream-check.js';
import type { Behind } from './sweep.js';

/** How far a log is published; -1 and null for not at all. The event's id is null as well where it isn't known. */
export interface Published {
  position: number;
  eventId: string | null;
}

/** Positions that go out under a message id of their own, `<tenant>:<position>:r<n>`: again, or because the plain id is taken. */
export interface Renewal extends Range {
  n: number;
}

export interface Learnt {
  tenantId: string;
  published: Published;
  /** In order, without overlaps. */
  renewals: Renewal[];
  /** The log has another event there, or ends before it: its history was rewritten. */
  rewritten: boolean;
}

/** A log is published on, from where the mover believes it to be. */
export interface Advance {
  tenantId: string;
  from: Published;
  to: Published;
}
/** Of the renewal that began at `from`, everything before `next` is published. */
export interface Renewed {
  tenantId: string;
  n: number;
  from: number;
  next: number;
  /** Counts only together with the same log's `Advance`. */
  withAdvance: boolean;
}
export interface Progress {
  epoch: number;
  owner: string;
  /** The message with the highest sequence among those that were acknowledged. */
  acknowledged: StoredMessage | null;
  advances: Advance[];
  renewed: Renewed[];
}

/** A log as the auditor needs it. */
export interface Audited {
  tenantId: string;
  published: Published;
  rewritten: boolean;
  /** Last position of the log. */
  head: number;
  /** First published position that is within the stream's retention; after `published` where none is. */
  firstKept: number;
}
/** What an audit found out about one log. */
export interface Finding {
  tenantId: string;
  published: Published;
  /** Where the published position goes back to; undefined where it stays. */
  backTo?: number;
  renewals: Range[];
}

export interface StreamNow {
  /** null before anything was written down of it. */
  record: StreamRecord | null;
  /** Changes whenever the database was started again: it may be an older copy. */
  database: string;
  /** Highest sequence that this relay has recorded as acknowledged; 0 for none. */
  recorded: number;
}

/** What relays know together: what is published, and what the broker promised. */
export abstract class RelayStorage {
  abstract stream(owner: string): Promise<StreamNow>;
  /** Writes a stream down that nobody knows yet; leaves what somebody else wrote. */
  abstract begin(state: StreamState, marks: Mark[]): Promise<void>;
  /** The stream is as it should be. */
  abstract observe(epoch: number, state: StreamState, marks: Mark[] | null): Promise<void>;
  /** Something is lost: a new epoch, unless somebody else has begun one. What was acknowledged before is evidence no more. */
  abstract newEpoch(epoch: number, state: StreamState, marks: Mark[]): Promise<void>;
  /** Of each relay, alive or not, the highest message that was acknowledged to it in this epoch. */
  abstract acknowledged(epoch: number): Promise<StoredMessage[]>;
  /** Evidence of relays that are gone is worth nothing where something higher was seen to be there. */
  abstract forgetAcknowledged(below: number): Promise<void>;
  abstract learn(tenantIds: string[]): Promise<Learnt[]>;
  /** How many of each log's next events are not more than `maxBytes` together, at most `limit`; in the order of the requests. */
  abstract fitting(requests: { tenantId: string; from: number }[], limit: number, maxBytes: number): Promise<number[]>;
  /** @returns the logs whose progress counts: the others are not where the mover believes them to be, or a new epoch has begun */
  abstract record(progress: Progress): Promise<Set<string>>;
  /** Logs that grew beyond what is published, or have something to publish again. @param withinMs only what grew in that time */
  abstract behind(withinMs?: number): AsyncGenerator<Behind[]>;
  /** Buckets that were looked through in this epoch. */
  abstract auditedBuckets(epoch: number): Promise<Set<number>>;
  /** Those of the messages that aren't events of their logs. */
  abstract strangers(messages: StoredMessage[]): Promise<StoredMessage[]>;
  /** Every log of these buckets that anything is published of, in pages. */
  abstract audited(buckets: number[], retentionMs: number): AsyncGenerator<Audited[]>;
  /** @returns false where the epoch is over or a bucket isn't the owner's: nothing was written */
  abstract finishAudit(epoch: number, owner: string, buckets: number[], findings: Finding[]): Promise<boolean>;
}
