import type { EventStore } from '@tenantry/event-store/port';
import type { StoredMessage, StreamState } from '../broker.js';
import { bucketOf, buckets, LeaseTable } from '../leases.js';
import {
  type Audited,
  type Finding,
  type Learnt,
  type Progress,
  type Published,
  RelayStorage,
  type Renewal,
  type StreamNow,
} from '../relay-storage.js';
import type { Mark, StreamRecord } from '../stream-check.js';
import type { Behind } from '../sweep.js';
import type { Process } from './world.js';

/** What a simulation may break on purpose in the relay, to see that it notices. */
export interface RelaySabotage {
  /** What was sent counts as acknowledged. */
  believesBeforeAcknowledged?: boolean;
  /** Nothing is ever compared with the stream. */
  auditsNothing?: boolean;
  /** What an audit finds isn't written down. */
  findingsLost?: boolean;
}

interface Lease {
  owner: string | null;
  untilMs: number;
  epoch: number;
}

/** The relays' tables as they are on disk. */
export class RelayTables {
  published = new Map<string, Published>();
  renewals = new Map<string, Renewal[]>();
  record: StreamRecord | null = null;
  acknowledged = new Map<string, { epoch: number; message: StoredMessage }>();
  members = new Map<string, number>();
  leases = Array.from({ length: buckets }, (): Lease => ({ owner: null, untilMs: 0, epoch: 0 }));
  /** Changes when the server is started again. */
  database = 1;

  copy(): RelayTables {
    const copy = new RelayTables();
    const { published, renewals, record, acknowledged, members, leases } = structuredClone({ ...this });
    return Object.assign(copy, { published, renewals, record, acknowledged, members, leases });
  }
}

const none: Published = { position: -1, eventId: null };

/** `around.tables` may be another copy at the next question: a database that was set back. */
export class SimulatedRelayStorage extends RelayStorage {
  constructor(
    private readonly process: Process,
    private readonly around: { relayTables: RelayTables; logs: EventStore },
    private readonly sabotage: RelaySabotage,
  ) {
    super();
  }

  private get tables(): RelayTables {
    return this.around.relayTables;
  }

  override stream(owner: string): Promise<StreamNow> {
    return this.process.ask(() => ({
      record: structuredClone(this.tables.record),
      database: String(this.tables.database),
      recorded: this.tables.acknowledged.get(owner)?.message.sequence ?? 0,
    }));
  }

  override begin({ created, leader, deleted, lastSequence: seen }: StreamState, marks: Mark[]): Promise<void> {
    return this.process.ask(() => {
      this.tables.record ??= { epoch: 1, created, leader, deleted, seen, marks };
    });
  }

  override observe(epoch: number, { deleted, lastSequence }: StreamState, marks: Mark[] | null): Promise<void> {
    return this.process.ask(() => {
      const { record } = this.tables;
      if (record?.epoch === epoch) {
        Object.assign(record, { deleted, seen: Math.max(record.seen, lastSequence), marks: marks ?? record.marks });
      }
    });
  }

  override newEpoch(epoch: number, { created, leader, deleted, lastSequence: seen }: StreamState, marks: Mark[]): Promise<void> {
    return this.process.ask(() => {
      if (this.tables.record?.epoch !== epoch) return;
      this.tables.record = { epoch: epoch + 1, created, leader, deleted, seen, marks };
      this.tables.acknowledged.clear();
    });
  }

  override acknowledged(epoch: number): Promise<StoredMessage[]> {
    return this.process.ask(() =>
      [...this.tables.acknowledged.values()].filter((each) => each.epoch === epoch).map(({ message }) => message),
    );
  }

  override forgetAcknowledged(below: number): Promise<void> {
    return this.process.ask(() => {
      for (const [owner, { message }] of this.tables.acknowledged) {
        const alive = (this.tables.members.get(owner) ?? 0) > this.process.world.nowMs;
        if (message.sequence < below && !alive) this.tables.acknowledged.delete(owner);
      }
    });
  }

  override learn(tenantIds: string[]): Promise<Learnt[]> {
    return this.process.ask(() => Promise.all(tenantIds.map((tenantId) => this.learnt(tenantId))));
  }

  private async learnt(tenantId: string): Promise<Learnt> {
    const published = this.tables.published.get(tenantId) ?? none;
    const renewals = structuredClone(this.tables.renewals.get(tenantId) ?? []);
    return { tenantId, published, renewals, rewritten: await this.rewritten(tenantId, published) };
  }

  private async rewritten(tenantId: string, { position, eventId }: Published): Promise<boolean> {
    return position >= 0 && (await this.idAt(tenantId, position)) !== eventId;
  }

  private async idAt(tenantId: string, position: number): Promise<string | null> {
    if (position < 0) return null;
    const event = (await this.around.logs.readLog(tenantId, position, { limit: 1 })).events[0];
    return event?.position === position ? event.id : null;
  }

  override async fitting(requests: unknown[], limit: number): Promise<number[]> {
    return requests.map(() => this.process.world.below(limit + 1));
  }

  override record({ epoch, owner, acknowledged, advances, renewed }: Progress): Promise<Set<string>> {
    return this.process.ask(() => {
      const done = new Set<string>();
      if (this.tables.record?.epoch !== epoch) return done;
      for (const { tenantId, from, to } of advances) {
        const { position, eventId } = this.tables.published.get(tenantId) ?? none;
        if (position !== from.position || eventId !== from.eventId) continue;
        this.tables.published.set(tenantId, to);
        done.add(tenantId);
      }
      const moved = new Set(done);
      for (const { tenantId, n, from, next, withAdvance } of renewed) {
        if (withAdvance && !moved.has(tenantId)) continue;
        const renewals = this.tables.renewals.get(tenantId) ?? [];
        const found = renewals.find((renewal) => renewal.n === n && renewal.from === from);
        if (!found) continue;
        done.add(tenantId);
        found.from = next;
        this.tables.renewals.set(
          tenantId,
          renewals.filter((renewal) => renewal.from <= renewal.to),
        );
      }
      const before = this.tables.acknowledged.get(owner);
      if (acknowledged && (before?.epoch !== epoch || before.message.sequence < acknowledged.sequence)) {
        this.tables.acknowledged.set(owner, { epoch, message: acknowledged });
      }
      return done;
    });
  }

  override async *behind(): AsyncGenerator<Behind[]> {
    yield await this.process.ask(async () => {
      const heads = await this.around.logs.heads();
      const grown = heads.filter(({ tenantId, position }) => this.tables.published.get(tenantId)?.position !== position);
      const again = [...this.tables.renewals].flatMap(([tenantId, renewals]) => {
        const { position } = this.tables.published.get(tenantId) ?? none;
        return renewals.some(({ from }) => from <= position) ? [{ tenantId, head: position }] : [];
      });
      return [...grown.map(({ tenantId, position }) => ({ tenantId, head: position })), ...again];
    });
  }

  override auditedBuckets(epoch: number): Promise<Set<number>> {
    return this.process.ask(
      () => new Set(this.tables.leases.flatMap((lease, bucket) => (this.sabotage.auditsNothing || lease.epoch === epoch ? [bucket] : []))),
    );
  }

  override strangers(messages: StoredMessage[]): Promise<StoredMessage[]> {
    return this.process.ask(async () => {
      const found: StoredMessage[] = [];
      for (const message of messages) if ((await this.idAt(message.tenantId, message.position)) !== message.eventId) found.push(message);
      return found;
    });
  }

  override async *audited(wanted: number[]): AsyncGenerator<Audited[]> {
    yield await this.process.ask(async () => {
      const logs: Audited[] = [];
      for (const [tenantId, published] of this.tables.published) {
        if (!wanted.includes(bucketOf(tenantId))) continue;
        const { head } = await this.around.logs.readLog(tenantId, 0, { limit: 1 });
        logs.push({ tenantId, published, head, rewritten: await this.rewritten(tenantId, published), firstKept: 0 });
      }
      return logs;
    });
  }

  override finishAudit(epoch: number, owner: string, wanted: number[], findings: Finding[]): Promise<boolean> {
    return this.process.ask(async () => {
      const ids = await Promise.all(findings.map(({ tenantId, backTo }) => this.idAt(tenantId, backTo ?? -1)));
      const { nowMs } = this.process.world;
      const mine = wanted.every((bucket) => {
        const lease = this.tables.leases[bucket];
        return lease?.owner === owner && lease.untilMs > nowMs;
      });
      if (this.tables.record?.epoch !== epoch || !mine) return false;
      for (const bucket of wanted) (this.tables.leases[bucket] as Lease).epoch = epoch;
      for (const tenantId of [...this.tables.renewals.keys()])
        if (wanted.includes(bucketOf(tenantId))) this.tables.renewals.delete(tenantId);
      if (this.sabotage.findingsLost) return true;
      findings.forEach(({ tenantId, published, backTo, renewals }, index) => {
        this.tables.renewals.set(
          tenantId,
          renewals.map(({ from, to }) => ({ n: epoch, from, to })),
        );
        if (backTo !== undefined && this.tables.published.get(tenantId)?.position === published.position) {
          this.tables.published.set(tenantId, { position: backTo, eventId: ids[index] ?? null });
        }
      });
      return true;
    });
  }
}

export class SimulatedLeases extends LeaseTable {
  constructor(
    private readonly process: Process,
    private readonly around: { relayTables: RelayTables },
  ) {
    super();
  }

  override renew(owner: string, leaseMs: number): Promise<number[]> {
    return this.process.ask(() => {
      const { leases, members } = this.around.relayTables;
      const { nowMs } = this.process.world;
      members.set(owner, nowMs + leaseMs);
      const share = Math.ceil(buckets / [...members.values()].filter((untilMs) => untilMs > nowMs).length);
      const mine = leases.flatMap((lease, bucket) => (lease.owner === owner ? [bucket] : []));
      for (const bucket of mine.slice(share)) leases[bucket] = { ...(leases[bucket] as Lease), owner: null, untilMs: nowMs };
      const kept = mine.slice(0, share);
      const free = leases.flatMap((lease, bucket) => (lease.owner !== owner && lease.untilMs <= nowMs ? [bucket] : []));
      kept.push(...free.slice(0, share - kept.length));
      for (const bucket of kept) leases[bucket] = { ...(leases[bucket] as Lease), owner, untilMs: nowMs + leaseMs };
      return kept;
    });
  }

  override release(owner: string): Promise<void> {
    return this.process.ask(() => {
      const { leases, members } = this.around.relayTables;
      members.delete(owner);
      for (const lease of leases) if (lease.owner === owner) Object.assign(lease, { owner: null, untilMs: 0 });
    });
  }
}
