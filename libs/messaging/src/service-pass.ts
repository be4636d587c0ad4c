import type { EventStore } from '@tenantry/event-store/port';
import { faultPoint } from '@tenantry/observability/fault';
import type { Logger } from '@tenantry/observability/logger';
import { backoffMs } from './backoff.js';
import { type Applied, apply, type Consumer } from './consumer.js';
import { CheckpointLocked, type ConsumerRows, NoneMoved } from './consumer-rows.js';
import type { Outcome } from './dirty-queue.js';
import type { Failures } from './failures.js';
import type { Hints } from './hints.js';
import { type Known, Progress } from './progress.js';
import { RebuildFailure, type RebuildReason, rebuild } from './rebuild.js';
import type { Scheduler } from './scheduler.js';
import { isTransient } from './sql.js';
import { continueFrom, readFrom } from './verify.js';

export interface ServicePassParts {
  rows: ConsumerRows;
  store: EventStore;
  consumer: Consumer;
  scheduler: Scheduler;
  failures: Failures;
  hints: Hints;
  logger: Logger;
  /** After a commit with effects. */
  onEffects: () => void;
}

interface Work {
  tenantId: string;
  known: Known;
  applied: Applied;
  scannedTo: number;
  more: boolean;
}

/** Events read at most in one pass over all of its tenants, and of one log. */
const eventsPerPass = 2_000;
const eventsPerLog = 500;

/** Applies what is new in the logs of many tenants to the service's own schema: one read, one transaction, one statement per table and kind. */
export class ServicePass {
  readonly progress = new Progress();
  private transientFailures = 0;

  constructor(private readonly parts: ServicePassParts) {}

  async run(tenantIds: string[]): Promise<Map<string, Outcome>> {
    const outcomes = new Map<string, Outcome>();
    const free = tenantIds.filter((tenantId) => {
      const delayMs = this.parts.failures.holdMs(this.parts.consumer.name, tenantId);
      if (delayMs > 0) outcomes.set(tenantId, { next: 'hold', delayMs });
      return delayMs === 0;
    });
    if (free.length === 0) return outcomes;
    try {
      await this.pass(free, outcomes);
      this.transientFailures = 0;
    } catch (error) {
      await this.afterError(free, error, outcomes);
    }
    return outcomes;
  }

  private async pass(tenantIds: string[], outcomes: Map<string, Outcome>): Promise<void> {
    const { store, consumer } = this.parts;
    const rebuilds = await this.learn(tenantIds);
    const limit = Math.min(eventsPerLog, Math.max(20, Math.floor(eventsPerPass / tenantIds.length)));
    const requests = tenantIds
      .filter((tenantId) => !rebuilds.has(tenantId))
      .map((tenantId) => ({ tenantId, from: readFrom(this.progress.get(tenantId) as Known) }));
    const slices = requests.length > 0 ? await store.readLogs(requests, { types: consumer.types, limit }) : new Map<string, never>();
    const work: Work[] = [];
    for (const { tenantId, from } of requests) {
      const known = this.progress.get(tenantId) as Known;
      const slice = slices.get(tenantId) ?? { events: [], scannedTo: -1, head: -1 };
      const next = continueFrom(known.applied, from, slice);
      if ('rewritten' in next) rebuilds.set(tenantId, next.rewritten);
      else
        work.push({
          tenantId,
          known,
          applied: apply(consumer, next.events),
          scannedTo: slice.scannedTo,
          more: slice.scannedTo < slice.head,
        });
    }
    const relevant = work.filter(({ applied }) => applied.last !== null);
    const moved = relevant.length > 0 ? await this.commit(relevant) : new Set<string>();
    for (const item of work) {
      if (item.applied.last !== null && !moved.has(item.tenantId)) {
        this.progress.forget(item.tenantId);
        outcomes.set(item.tenantId, { next: 'again', delayMs: 100 });
      } else {
        outcomes.set(item.tenantId, await this.settled(item));
      }
    }
    for (const [tenantId, reason] of rebuilds) outcomes.set(tenantId, await this.rebuild(tenantId, reason));
  }

  /** Reads the checkpoints that this process doesn't know; those of another version have to be rebuilt. */
  private async learn(tenantIds: string[]): Promise<Map<string, RebuildReason>> {
    const rebuilds = new Map<string, RebuildReason>();
    const unknown = tenantIds.filter((tenantId) => !this.progress.get(tenantId));
    if (unknown.length === 0) return rebuilds;
    const read = await this.parts.rows.checkpoints(unknown);
    for (const tenantId of unknown) {
      const checkpoint = read.get(tenantId) ?? null;
      if (checkpoint && checkpoint.version !== this.parts.consumer.version) rebuilds.set(tenantId, 'version');
      else this.progress.set(tenantId, { applied: checkpoint, scannedTo: checkpoint?.position ?? -1 });
    }
    return rebuilds;
  }

  private async commit(work: Work[]): Promise<Set<string>> {
    const steps = work.map(({ tenantId, known, applied: { last, changes, effects } }) => {
      const { position, id } = last as NonNullable<Applied['last']>;
      return { tenantId, from: known.applied, to: { position, eventId: id }, changes, effects };
    });
    const moved = await this.parts.rows
      .transaction(null, async (tx) => {
        const advanced = await tx.advance(steps);
        await faultPoint('projection.done');
        return advanced;
      })
      .catch((error: unknown) => {
        if (error instanceof NoneMoved) return new Set<string>();
        throw error;
      });
    if (moved.size > 0) await faultPoint('projection.recorded');
    if (work.some(({ tenantId, applied }) => applied.effects.length > 0 && moved.has(tenantId))) this.parts.onEffects();
    return moved;
  }

  private async settled({ tenantId, known, applied, scannedTo, more }: Work): Promise<Outcome> {
    const { failure, last } = applied;
    const at = last ? { position: last.position, eventId: last.id } : known.applied;
    if (failure) {
      this.progress.set(tenantId, { applied: at, scannedTo: failure.event.position - 1 });
      return { next: 'hold', delayMs: await this.parts.failures.failed(this.parts.consumer.name, failure.event, failure.error) };
    }
    this.remember(tenantId, at, scannedTo);
    await this.parts.failures.succeeded(this.parts.consumer.name, tenantId);
    return more ? { next: 'again' } : { next: 'idle' };
  }

  private remember(tenantId: string, applied: Known['applied'], scannedTo: number): void {
    this.progress.set(tenantId, { applied, scannedTo });
    this.parts.hints.note(this.parts.consumer.name, tenantId, { version: this.parts.consumer.version, generation: 0, position: scannedTo });
  }

  private async rebuild(tenantId: string, reason: RebuildReason): Promise<Outcome> {
    const { consumer, store, rows, failures, logger } = this.parts;
    this.progress.forget(tenantId);
    logger.warn({ consumer: consumer.name, tenantId, reason }, 'Rows of a tenant are rebuilt from its log');
    try {
      const { applied, scannedTo } = await rows.transaction(null, (tx) => rebuild(tx, store, consumer, tenantId, reason));
      this.remember(tenantId, applied, scannedTo);
      this.parts.onEffects();
      await failures.succeeded(consumer.name, tenantId);
      return { next: 'idle' };
    } catch (error) {
      if (error instanceof CheckpointLocked) return { next: 'again', delayMs: 100 };
      if (isTransient(error)) throw error;
      const event = error instanceof RebuildFailure ? error.event : { tenantId, position: 0, id: tenantId, type: 'rebuild' };
      return { next: 'hold', delayMs: await failures.failed(this.parts.consumer.name, event, error) };
    }
  }

  /** The server's fault: everybody waits. Else one tenant's: they go one by one, and only that one waits. */
  private async afterError(tenantIds: string[], error: unknown, outcomes: Map<string, Outcome>): Promise<void> {
    const { logger, failures, scheduler } = this.parts;
    const open = tenantIds.filter((tenantId) => !outcomes.has(tenantId));
    const positions = new Map(open.map((tenantId) => [tenantId, this.progress.scannedTo(tenantId) + 1]));
    for (const tenantId of open) this.progress.forget(tenantId);
    if (isTransient(error)) {
      const delayMs = backoffMs(++this.transientFailures, 200, 10_000, () => scheduler.random());
      logger.warn({ tenants: open.length, delayMs, err: error }, 'A pass over the service’s own rows will be tried again');
      for (const tenantId of open) outcomes.set(tenantId, { next: 'hold', delayMs });
      return;
    }
    const [first] = open;
    if (open.length === 1 && first !== undefined) {
      const event = { tenantId: first, position: positions.get(first) ?? 0, id: first, type: 'batch' };
      outcomes.set(first, { next: 'hold', delayMs: await failures.failed(this.parts.consumer.name, event, error) });
      return;
    }
    for (const tenantId of open) {
      for (const [id, outcome] of await this.run([tenantId])) outcomes.set(id, outcome);
    }
  }
}
