import type { StoredEvent } from '@tenantry/contracts/events';
import type { Logger } from '@tenantry/observability/logger';
import type { Attempt, AttemptStore } from './consumer-rows.js';
import type { Failures } from './failures.js';
import type { Scheduler } from './scheduler.js';

/** So long after a start that followed a death, everything is noted before it is applied. */
const cautiousMs = 60_000;
/** Two deaths may have come from outside, in the middle of an innocent event: a service has many consumers, and is killed more than once. */
const crashesUntilParked = 3;

/**
 * Finds the event that kills the process. After a death, what is about to be applied is noted first. What a note is left of when the
 * process starts again is applied one event at a time, each noted; an event that is found like that three times is parked, and the others go on.
 * A process that has not died writes nothing.
 */
export class Caution {
  private untilMs = Number.NEGATIVE_INFINITY;

  /** @param owner of the notes: the process, by a name that it has again after a restart; null: nothing is noted */
  constructor(
    private readonly store: AttemptStore,
    private readonly owner: string | null,
    private readonly failures: Failures,
    private readonly scheduler: Scheduler,
    private readonly logger: Logger,
  ) {}

  async begin(): Promise<void> {
    if (this.owner === null) return;
    const { died, attempts } = await this.store.begin(this.owner);
    if (!died) return;
    this.untilMs = this.scheduler.nowMs() + cautiousMs;
    for (const attempt of attempts) await this.suspect(this.owner, attempt);
    this.logger.warn({ suspected: attempts.length }, 'This process died: what it applies is noted for a while');
  }

  private async suspect(owner: string, { consumer, event, untilPosition, crashes }: Attempt): Promise<void> {
    if (event.position === untilPosition && crashes >= crashesUntilParked) {
      await this.failures.killed(consumer, event, crashes);
      await this.store.clear(owner, consumer, [event.tenantId]);
    } else {
      this.failures.suspect(consumer, event.tenantId, untilPosition);
    }
  }

  async end(): Promise<void> {
    if (this.owner !== null) await this.store.end(this.owner);
  }

  /** Runs `apply`, noted where that is called for. Events of each tenant in their order; tenants without any are left out. */
  async around<T>(consumer: string, batches: StoredEvent[][], apply: () => Promise<T>): Promise<T> {
    const { owner } = this;
    const isCautious = this.scheduler.nowMs() < this.untilMs;
    const attempts = batches.flatMap((events): Attempt[] => {
      const [first, last] = [events[0], events.at(-1)];
      if (!first || !last) return [];
      if (!isCautious && !this.failures.isSuspect(consumer, first.tenantId, first.position)) return [];
      return [{ consumer, event: first, untilPosition: last.position, crashes: 0 }];
    });
    if (owner === null || attempts.length === 0) return apply();
    await this.store.note(owner, attempts);
    try {
      return await apply();
    } finally {
      // Also after an error: the process is alive. A note that can't be removed (the server is away) is written anew at the next try.
      await this.store
        .clear(
          owner,
          consumer,
          attempts.map(({ event }) => event.tenantId),
        )
        .catch((error: unknown) => this.logger.warn({ err: error, consumer }, 'Notes of what is applied could not be removed'));
    }
  }
}
