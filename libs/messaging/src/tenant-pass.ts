import { DomainError } from '@tenantry/contracts/errors';
import type { StoredEvent } from '@tenantry/contracts/events';
import type { EventStore, LogSlice } from '@tenantry/event-store/port';
import { faultPoint } from '@tenantry/observability/fault';
import type { Logger } from '@tenantry/observability/logger';
import { backoffMs } from './backoff.js';
import type { Caution } from './caution.js';
import { type Applied, apply, type Consumer } from './consumer.js';
import { CheckpointLocked, type ConsumerRows, NoneMoved, type RowsTransaction } from './consumer-rows.js';
import type { Outcome } from './dirty-queue.js';
import type { Failures } from './failures.js';
import type { Hints } from './hints.js';
import { type Known, Progress } from './progress.js';
import { RebuildFailure, type RebuildReason, Refused, rebuild } from './rebuild.js';
import type { Scheduler } from './scheduler.js';
import { isTransient } from './sql.js';
import { continueFrom, readFrom } from './verify.js';

export interface TenantPassParts {
  rows: ConsumerRows;
  store: EventStore;
  consumer: Consumer;
  failures: Failures;
  caution: Caution;
  hints: Hints;
  scheduler: Scheduler;
  logger: Logger;
}

/** One tenant with something to do in its own schema. */
export interface TenantWork {
  tenantId: string;
  /** What is believed of the checkpoint; null: it has to be read first. */
  known: Known | null;
  from: number;
  slice: LogSlice;
  /** What was about to be applied, once that is known. */
  events?: StoredEvent[];
}

interface Done {
  applied: Known['applied'];
  scannedTo: number;
  more: boolean;
  failure: Applied['failure'];
  generation: number;
}

const eventsPerRead = 2_000;
const eventsPerPass = 500;

/** Applies what is new in one tenant's log to its own schema, in one transaction per tenant. */
export class TenantPass {
  readonly progress = new Progress();
  /** Tenants whose checkpoint must be read before it is moved. */
  private readonly uncertain = new Set<string>();
  private readonly transientFailures = new Map<string, number>();

  constructor(private readonly parts: TenantPassParts) {}

  /** One round trip for many tenants: which of them have something to do at all. The others' outcomes are final. */
  async read(tenantIds: string[]): Promise<{ work: TenantWork[]; outcomes: Map<string, Outcome> }> {
    const { store, consumer, failures, hints } = this.parts;
    const outcomes = new Map<string, Outcome>();
    const free = tenantIds.filter((tenantId) => {
      const delayMs = failures.holdMs(consumer.name, tenantId);
      if (delayMs > 0) outcomes.set(tenantId, { next: 'hold', delayMs });
      return delayMs === 0;
    });
    if (free.length === 0) return { work: [], outcomes };
    const unknown = free.filter((tenantId) => !this.progress.get(tenantId));
    const seen = unknown.length > 0 ? await hints.read(consumer.name, unknown) : new Map<string, never>();
    const requests = free.map((tenantId) => {
      const known = this.uncertain.has(tenantId) ? undefined : this.progress.get(tenantId);
      if (known) return { tenantId, known, from: readFrom(known), versionChanged: false };
      const hint = seen.get(tenantId);
      if (!hint && !this.uncertain.has(tenantId))
        return { tenantId, known: { applied: null, scannedTo: -1 }, from: 0, versionChanged: false };
      const versionChanged = hint !== undefined && hint.version !== consumer.version;
      return {
        tenantId,
        known: null,
        from: hint && !versionChanged && !this.uncertain.has(tenantId) ? hint.position + 1 : 0,
        versionChanged,
      };
    });
    const limit = Math.min(eventsPerPass, Math.max(20, Math.floor(eventsPerRead / requests.length)));
    const slices = await store.readLogs(
      requests.map(({ tenantId, from }) => ({ tenantId, from })),
      { types: consumer.types, limit },
    );
    const work: TenantWork[] = [];
    for (const { tenantId, known, from, versionChanged } of requests) {
      const slice = slices.get(tenantId) ?? { events: [], scannedTo: -1, head: -1 };
      const next = known && continueFrom(known.applied, from, slice);
      const nothing = next ? 'events' in next && next.events.length === 0 : slice.events.length === 0 && slice.head >= from - 1;
      if (!nothing || versionChanged || this.uncertain.has(tenantId)) {
        work.push({ tenantId, known, from, slice });
        continue;
      }
      const generation = known?.generation ?? seen.get(tenantId)?.generation ?? 0;
      if (known) this.progress.set(tenantId, { applied: known.applied, scannedTo: slice.scannedTo, generation });
      hints.note(consumer.name, tenantId, {
        version: consumer.version,
        generation,
        position: slice.scannedTo,
      });
      outcomes.set(tenantId, slice.scannedTo < slice.head ? { next: 'again' } : { next: 'idle' });
    }
    return { work, outcomes };
  }

  /** The tenant lives elsewhere now: what was believed of its checkpoint is of the old place. */
  forget(tenantId: string): void {
    this.progress.forget(tenantId);
    this.uncertain.add(tenantId);
  }

  async run(work: TenantWork): Promise<Outcome> {
    const { rows, failures, hints, consumer } = this.parts;
    const { tenantId } = work;
    try {
      const done = await rows.transaction(tenantId, (tx) => this.inTransaction(tx, work));
      await faultPoint('projection.recorded');
      this.uncertain.delete(tenantId);
      this.transientFailures.delete(tenantId);
      const scannedTo = done.failure ? done.failure.event.position - 1 : done.scannedTo;
      this.progress.set(tenantId, { applied: done.applied, scannedTo, generation: done.generation });
      if (done.failure) return { next: 'hold', delayMs: await failures.failed(consumer.name, done.failure.event, done.failure.error) };
      hints.note(consumer.name, tenantId, { version: consumer.version, generation: done.generation, position: done.scannedTo });
      await failures.succeeded(consumer.name, tenantId);
      return done.more ? { next: 'again' } : { next: 'idle' };
    } catch (error) {
      return this.afterError(work, error);
    }
  }

  private async inTransaction(tx: RowsTransaction, work: TenantWork): Promise<Done> {
    const { store, consumer, failures, caution } = this.parts;
    const { tenantId } = work;
    const { generation } = tx;
    let { known, from, slice } = work;
    if (!known) {
      const checkpoint = await tx.lock(tenantId);
      if (checkpoint && checkpoint.version !== consumer.version) return { ...(await this.rebuild(tx, tenantId, 'version')), generation };
      known = { applied: checkpoint, scannedTo: checkpoint?.position ?? -1 };
      from = readFrom(known);
      slice = await store.readLog(tenantId, from, { types: consumer.types, limit: eventsPerPass });
    }
    const next = continueFrom(known.applied, from, slice);
    if ('rewritten' in next) return { ...(await this.rebuild(tx, tenantId, next.rewritten)), generation };
    const { events, scannedTo } = failures.narrowed(consumer.name, tenantId, next.events, slice.scannedTo);
    const more = scannedTo < slice.head;
    work.events = events;
    const { last, failure } = await caution.around(consumer.name, [events], () => this.applied(tx, work, known.applied, events));
    if (!last) return { applied: known.applied, scannedTo, more, failure, generation };
    await faultPoint('projection.done');
    return { applied: { position: last.position, eventId: last.id }, scannedTo, more, failure, generation };
  }

  private async applied(tx: RowsTransaction, { tenantId }: TenantWork, from: Known['applied'], events: StoredEvent[]): Promise<Applied> {
    const { consumer, failures } = this.parts;
    const applied = apply(consumer, events, { skipped: failures.skipped(consumer.name, tenantId) });
    const { changes, last } = applied;
    if (last) await tx.advance([{ tenantId, from, to: { position: last.position, eventId: last.id }, changes, effects: [] }]);
    return applied;
  }

  /** Deletes the tenant's rows and fills them again from its log, in one transaction. @throws CheckpointLocked, RebuildFailure, Refused */
  async rebuildNow(tenantId: string): Promise<number> {
    const { rows, consumer, failures, hints } = this.parts;
    this.progress.forget(tenantId);
    const done = await rows.transaction(tenantId, async (tx) => ({
      ...(await this.rebuild(tx, tenantId, 'requested')),
      generation: tx.generation,
    }));
    this.progress.set(tenantId, { applied: done.applied, scannedTo: done.scannedTo, generation: done.generation });
    hints.note(consumer.name, tenantId, { version: consumer.version, generation: done.generation, position: done.scannedTo });
    await failures.succeeded(consumer.name, tenantId);
    return done.events;
  }

  private async rebuild(
    tx: RowsTransaction,
    tenantId: string,
    reason: RebuildReason,
  ): Promise<Omit<Done, 'generation'> & { events: number }> {
    const { consumer, logger } = this.parts;
    logger.warn({ consumer: consumer.name, tenantId, reason }, 'Rows of a tenant are rebuilt from its log');
    const { applied, scannedTo, events } = await rebuild(tx, this.parts, tenantId, reason);
    await faultPoint('projection.done');
    return { applied, scannedTo, more: false, failure: null, events };
  }

  private async afterError({ tenantId, events = [] }: TenantWork, error: unknown): Promise<Outcome> {
    const { logger, failures, consumer, scheduler } = this.parts;
    this.progress.forget(tenantId);
    if (error instanceof DomainError && error.code === 'placement.not_found') return { next: 'wait' };
    this.uncertain.add(tenantId);
    // Another replica was there first, or the memory of this one was wrong.
    if (error instanceof NoneMoved || error instanceof CheckpointLocked) return { next: 'again', delayMs: 100 };
    if (isTransient(error)) {
      const attempt = (this.transientFailures.get(tenantId) ?? 0) + 1;
      this.transientFailures.set(tenantId, attempt);
      const delayMs = backoffMs(attempt, 200, 30_000, () => scheduler.random());
      logger.warn({ consumer: consumer.name, tenantId, delayMs, err: error }, 'A pass over a tenant’s rows will be tried again');
      return { next: 'hold', delayMs };
    }
    const until = error instanceof Refused ? error.untilPosition : events.length > 1 ? events.at(-1)?.position : undefined;
    if (until !== undefined) {
      // One by one, to find the event at fault.
      failures.suspect(consumer.name, tenantId, until);
      return { next: 'again' };
    }
    const first = error instanceof RebuildFailure ? error.event : events[0];
    const event = first ?? { tenantId, position: 0, id: tenantId, type: 'rebuild' };
    return { next: 'hold', delayMs: await failures.failed(consumer.name, event, error) };
  }
}
