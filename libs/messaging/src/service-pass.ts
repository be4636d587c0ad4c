import type { StoredEvent } from '@tenantry/contracts/events';
import type { EventStore } from '@tenantry/event-store/port';
import { faultPoint } from '@tenantry/observability/fault';
import type { Logger } from '@tenantry/observability/logger';
import { backoffMs } from './backoff.js';
import type { Caution } from './caution.js';
import { type Applied, apply, type Consumer } from './consumer.js';
import { CheckpointLocked, type ConsumerRows, NoneMoved } from './consumer-rows.js';
import type { Outcome } from './dirty-queue.js';
import type { Failures } from './failures.js';
import type { Hints } from './hints.js';
import { type Known, Progress } from './progress.js';
import { RebuildFailure, type RebuildReason, Refused, rebuild } from './rebuild.js';
import type { Scheduler } from './scheduler.js';
import { isTransient } from './sql.js';
import { continueFrom, readFrom } from './verify.js';

export interface ServicePassParts {
  rows: ConsumerRows;
  store: EventStore;
  consumer: Consumer;
  scheduler: Scheduler;
  failures: Failures;
  caution: Caution;
  hints: Hints;
  logger: Logger;
  /** After a commit with effects. */
  onEffects: () => void;
}

interface Found {
  tenantId: string;
  known: Known;
  events: StoredEvent[];
  scannedTo: number;
  more: boolean;
}
interface Work extends Found {
  applied: Applied;
}

/** Events read at most in one pass over all of its tenants, and of one log. */
const eventsPerPass = 2_000;
const eventsPerLog = 500;

/** Applies what is new in the logs of many tenants to the service's own schema: one read, one transaction, one statement per table and kind. */
export class ServicePass {
  readonly progress = new Progress();
  private transientFailures = 0;
  /** What the pass that runs has found, to tell what failed. */
  private found: Found[] = [];

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
    const { store, consumer, failures, caution } = this.parts;
    this.found = [];
    const rebuilds = await this.learn(tenantIds);
    const limit = Math.min(eventsPerLog, Math.max(20, Math.floor(eventsPerPass / tenantIds.length)));
    const requests = tenantIds
      .filter((tenantId) => !rebuilds.has(tenantId))
      .map((tenantId) => ({ tenantId, from: readFrom(this.progress.get(tenantId) as Known) }));
    const slices = requests.length > 0 ? await store.readLogs(requests, { types: consumer.types, limit }) : new Map<string, never>();
    const found: Found[] = [];
    for (const { tenantId, from } of requests) {
      const known = this.progress.get(tenantId) as Known;
      const slice = slices.get(tenantId) ?? { events: [], scannedTo: -1, head: -1 };
      const next = continueFrom(known.applied, from, slice);
      if ('rewritten' in next) {
        rebuilds.set(tenantId, next.rewritten);
        continue;
      }
      const { events, scannedTo } = failures.narrowed(consumer.name, tenantId, next.events, slice.scannedTo);
      found.push({ tenantId, known, events, scannedTo, more: scannedTo < slice.head });
    }
    this.found = found;
    const { work, moved } = await caution.around(
      consumer.name,
      found.map(({ events }) => events),
      () => this.applied(found),
    );
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

  private async applied(found: Found[]): Promise<{ work: Work[]; moved: Set<string> }> {
    const { consumer, failures } = this.parts;
    const work = found.map((each): Work => {
      return { ...each, applied: apply(consumer, each.events, { skipped: failures.skipped(consumer.name, each.tenantId) }) };
    });
    const relevant = work.filter(({ applied }) => applied.last !== null);
    return { work, moved: relevant.length > 0 ? await this.commit(relevant) : new Set<string>() };
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
    const { consumer, failures } = this.parts;
    this.progress.forget(tenantId);
    try {
      await this.rebuildNow(tenantId, reason);
      return { next: 'idle' };
    } catch (error) {
      if (error instanceof CheckpointLocked) return { next: 'again', delayMs: 100 };
      if (isTransient(error)) throw error;
      if (error instanceof Refused) {
        failures.suspect(consumer.name, tenantId, error.untilPosition);
        return { next: 'again' };
      }
      const event = error instanceof RebuildFailure ? error.event : { tenantId, position: 0, id: tenantId, type: 'rebuild' };
      return { next: 'hold', delayMs: await failures.failed(this.parts.consumer.name, event, error) };
    }
  }

  /** Deletes the tenant's rows and fills them again from its log, in one transaction. @throws CheckpointLocked, RebuildFailure, Refused */
  async rebuildNow(tenantId: string, reason: RebuildReason): Promise<number> {
    const { consumer, rows, failures, logger } = this.parts;
    this.progress.forget(tenantId);
    logger.warn({ consumer: consumer.name, tenantId, reason }, 'Rows of a tenant are rebuilt from its log');
    const { applied, scannedTo, events } = await rows.transaction(null, (tx) => rebuild(tx, this.parts, tenantId, reason));
    this.remember(tenantId, applied, scannedTo);
    this.parts.onEffects();
    await failures.succeeded(consumer.name, tenantId);
    return events;
  }

  /** The server's fault: everybody waits. Else one tenant's: they go one by one, and only that one waits. */
  private async afterError(tenantIds: string[], error: unknown, outcomes: Map<string, Outcome>): Promise<void> {
    const { logger, failures, scheduler } = this.parts;
    const open = tenantIds.filter((tenantId) => !outcomes.has(tenantId));
    for (const tenantId of open) this.progress.forget(tenantId);
    if (isTransient(error)) {
      const delayMs = backoffMs(++this.transientFailures, 200, 10_000, () => scheduler.random());
      logger.warn({ tenants: open.length, delayMs, err: error }, 'A pass over the service’s own rows will be tried again');
      for (const tenantId of open) outcomes.set(tenantId, { next: 'hold', delayMs });
      return;
    }
    const [first] = open;
    if (open.length === 1 && first !== undefined) {
      const events = this.found.find(({ tenantId }) => tenantId === first)?.events ?? [];
      const [event = { tenantId: first, position: 0, id: first, type: 'batch' }] = events;
      if (events.length > 1) {
        // One by one, to find the event at fault.
        failures.suspect(this.parts.consumer.name, first, (events.at(-1) as StoredEvent).position);
        outcomes.set(first, { next: 'again' });
        return;
      }
      outcomes.set(first, { next: 'hold', delayMs: await failures.failed(this.parts.consumer.name, event, error) });
      return;
    }
    for (const tenantId of open) {
      for (const [id, outcome] of await this.run([tenantId])) outcomes.set(id, outcome);
    }
  }
}
