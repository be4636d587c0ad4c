import type { Logger } from '@tenantry/observability/logger';
import { auditLogs } from './audit.js';
import type { Acknowledgement, Broker, StoredMessage, StreamState } from './broker.js';
import { bucketOf, type Leases } from './leases.js';
import { PositionRanges } from './position-ranges.js';
import type { RelayStorage, StreamNow } from './relay-storage.js';
import type { Scheduler } from './scheduler.js';
import { lossOf, marksAfterLoss, nextMarks, retentionMs, type StreamRecord, stillHolds } from './stream-check.js';

export interface StreamGuardParts {
  broker: Broker;
  storage: RelayStorage;
  leases: Leases;
  scheduler: Scheduler;
  logger: Logger;
  owner: string;
}

/** What a look at the stream came to. */
export interface Look {
  /** What was known of the logs may not be so any more. */
  forget: boolean;
  /** Events that the stream has beyond what is written down. */
  unrecorded: StoredMessage[];
  /** Logs that have something to publish again. */
  lost: string[];
}

/**
 * Compares what the broker acknowledged with what it has. An acknowledgement is no promise for ever: a broker may lose its disk, or what
 * it hadn't written yet, and people purge streams. Where something is lost, a new epoch begins, in which each relay looks the logs of its
 * buckets through once, before it publishes on, and finds exactly what is missing.
 */
export class StreamGuard {
  epoch = 0;
  private connection: string | null = null;
  private database = '';
  /** Until a look has come to its end: what it wrote down counts, even where it broke off afterwards. */
  private mustForget = true;
  private audited = new Set<number>();
  private suspicion: string | null = null;
  /** Of each log the positions whose message ids are taken, until an audit has written them down. */
  private taken = new Map<string, PositionRanges>();
  /** How often buckets were gained, and how many of those times a look has seen. */
  private gains = 1;
  private gainsSeen = 0;
  /** Highest sequence that was acknowledged to this process, and what of that it has recorded. */
  private acknowledged = 0;
  private recorded = 0;

  constructor(private readonly parts: StreamGuardParts) {}

  /** Whether this log may be published now: its bucket is ours, nothing of it is missing, and the stream is the one that was looked at. */
  allows(tenantId: string): boolean {
    return this.audited.has(bucketOf(tenantId)) && this.parts.leases.owns(tenantId) && !this.urgent;
  }

  /** Nothing may be published before the next look. */
  get urgent(): boolean {
    return this.suspicion !== null || this.gains !== this.gainsSeen || this.connection !== this.parts.broker.connection();
  }

  suspect(reason: string): void {
    this.suspicion ??= reason;
  }

  /** The stream drops what has the plain id of this position, and doesn't hold its event. */
  idTaken(tenantId: string, position: number): void {
    this.suspect('it knows message ids without having the messages');
    const positions = this.taken.get(tenantId) ?? new PositionRanges();
    positions.add(position);
    this.taken.set(tenantId, positions);
  }

  gainedBuckets(): void {
    this.gains += 1;
  }

  /** The highest sequence that was acknowledged: what is sent from now on gets a higher one. */
  get highest(): number {
    return this.acknowledged;
  }

  /** @param mark `highest` when the message was sent: where the stream doesn't count on from there, it isn't what it was */
  wasAcknowledged({ sequence, duplicate }: Acknowledgement, mark: number): void {
    if (duplicate) return;
    if (sequence <= mark) this.suspect('sequences were given a second time');
    else this.acknowledged = Math.max(this.acknowledged, sequence);
  }

  wasRecorded(sequence: number): void {
    this.recorded = Math.max(this.recorded, sequence);
  }

  async look(): Promise<Look> {
    const { broker, storage, scheduler, logger, leases } = this.parts;
    const connection = broker.connection();
    const { suspicion, gains } = this;
    const thorough = this.urgent;
    let now = await this.recordedStream();
    // Before the stream's state: what is acknowledged meanwhile must not look as if it were missing.
    const evidence = thorough ? await storage.acknowledged(now.record.epoch) : [];
    const state = (thorough ? null : await broker.state()) ?? (await broker.ensureStream());
    const wallMs = scheduler.wallMs();
    const before = now.record;
    let loss = suspicion ?? lossOf(before, state, before.epoch === this.epoch ? this.acknowledged : 0, wallMs);
    let unrecorded: StoredMessage[] = [];
    if (thorough && loss === null) {
      loss = await this.lostEvidence(evidence, state);
      if (loss === null) ({ loss, unrecorded } = await this.tail(evidence, before, state));
    }
    if (loss !== null) {
      logger.error(
        { reason: loss, epoch: before.epoch },
        'The event stream does not hold what was published: what is missing is published again',
      );
      await storage.newEpoch(before.epoch, state, marksAfterLoss(before, state, wallMs));
      now = await this.recordedStream();
    } else {
      const marks = nextMarks(before.marks, state.lastSequence, wallMs);
      if (marks || state.deleted !== before.deleted || state.lastSequence > before.seen) await storage.observe(before.epoch, state, marks);
    }
    const { epoch } = now.record;
    const wentBack = epoch < this.epoch || (epoch === this.epoch && now.recorded < this.recorded);
    this.mustForget ||= epoch !== this.epoch || now.database !== this.database || wentBack || gains !== this.gainsSeen;
    if (epoch !== this.epoch || wentBack) {
      this.acknowledged = 0;
      this.recorded = 0;
    }
    // An older copy of the database says nothing of what the stream holds since: the next look compares.
    const again = wentBack || (this.database !== '' && now.database !== this.database && !thorough);
    this.epoch = epoch;
    this.database = now.database;
    const audited = await storage.auditedBuckets(epoch);
    const missing = leases.buckets.filter((bucket) => !audited.has(bucket));
    this.mustForget ||= missing.length > 0;
    const lost = missing.length > 0 ? await auditLogs(this.parts, epoch, missing, state.lastSequence, retentionMs, this.taken) : [];
    if (lost !== null) {
      for (const bucket of missing) audited.add(bucket);
      this.taken.clear();
    }
    this.audited = audited;
    this.connection = connection;
    if (this.suspicion === suspicion) this.suspicion = null;
    this.gainsSeen = again ? gains - 1 : gains;
    const forget = this.mustForget;
    this.mustForget = false;
    return { forget, unrecorded, lost: lost ?? [] };
  }

  private async recordedStream(): Promise<StreamNow & { record: StreamRecord }> {
    const { broker, storage, scheduler, owner } = this.parts;
    const now = await storage.stream(owner);
    if (now.record) return { ...now, record: now.record };
    const state = await broker.ensureStream();
    await storage.begin(state, [{ sequence: state.lastSequence, atMs: scheduler.wallMs() }]);
    const { record, ...rest } = await storage.stream(owner);
    if (!record) throw new Error('The stream was written down and is not there');
    return { ...rest, record };
  }

  private async lostEvidence(evidence: StoredMessage[], state: StreamState): Promise<string | null> {
    const found = await Promise.all(
      evidence.map(({ sequence }) => (sequence > state.lastSequence ? null : this.parts.broker.message(sequence))),
    );
    return evidence.every((message, n) => stillHolds(message, found[n] ?? null, state)) ? null : 'acknowledged messages are gone';
  }

  /** Looks at what is in the stream and not written down: from just before a crash; or from a future that a restored database doesn't know. */
  private async tail(evidence: StoredMessage[], record: StreamRecord, state: StreamState) {
    const top = Math.max(0, ...evidence.map(({ sequence }) => sequence), ...record.marks.map(({ sequence }) => sequence));
    const unrecorded: StoredMessage[] = [];
    for await (const page of this.parts.broker.scan(top + 1, state.lastSequence)) {
      if ((await this.parts.storage.strangers(page)).length > 0) return { loss: 'the logs do not know what it holds', unrecorded: [] };
      // A crash leaves few of them; what doesn't fit here is published again under its id, which the stream knows.
      if (unrecorded.length < 50_000) unrecorded.push(...page);
    }
    if (top > 0) await this.parts.storage.forgetAcknowledged(top);
    return { loss: null, unrecorded };
  }
}
