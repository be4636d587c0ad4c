import type { Logger } from '@tenantry/observability/logger';
import { errorText } from '@tenantry/observability/redact';
import type { Consumer } from './consumer.js';
import type { DirtyQueue, Outcome } from './dirty-queue.js';
import type { Progress } from './progress.js';
import type { Scheduler, Timer } from './scheduler.js';

/** One consumer of a service: its own rows, or those in the tenants' schemas. */
export interface Lane {
  consumer: Consumer;
  progress: Progress;
  turns: Turns;
  /** One tenant's rows, now. Gives the number of events. */
  rebuild: (tenantId: string) => Promise<number>;
  /** What this process believes of the tenant is wrong: its checkpoint has to be read. */
  forget: (tenantId: string) => void;
}

/** What a lane needs of its runner. */
export interface LaneHost {
  isStopped: () => boolean;
  /** What must end before the runner has stopped. */
  track: (running: Promise<void>) => void;
}

/** An error that no pass should let through: all of its tenants are held for a moment. */
export function unexpected(error: unknown, tenantIds: string[], logger: Logger): Map<string, Outcome> {
  logger.error({ tenants: tenantIds.length, error: errorText(error) }, 'A pass failed');
  return new Map(tenantIds.map((tenantId) => [tenantId, { next: 'hold', delayMs: 1_000 }]));
}

export interface TurnsParts {
  queue: DirtyQueue;
  scheduler: Scheduler;
  isStopped: () => boolean;
  /** Takes what is due. */
  pump: () => void;
}

/** When which tenant is looked at, and who waits for it. */
export class Turns {
  /** No pass begins before this. */
  notBeforeMs = 0;
  private timer: Timer | undefined;
  private readonly waiters = new Map<string, Set<() => void>>();

  constructor(private readonly parts: TurnsParts) {}

  mark(tenantId: string): void {
    this.parts.queue.mark(tenantId, this.nowMs());
    this.schedule();
  }

  take(limit: number): string[] {
    return this.parts.queue.take(limit, this.nowMs());
  }

  settle(tenantId: string, outcome: Outcome): void {
    this.parts.queue.done(tenantId, outcome, this.nowMs());
    const waiters = this.waiters.get(tenantId);
    if (!waiters) return;
    this.waiters.delete(tenantId);
    for (const done of waiters) done();
  }

  /** Its place may be there now. */
  resume(tenantId: string): void {
    this.parts.queue.resume(tenantId, this.nowMs());
  }

  /** What held it is over. */
  release(tenantId: string): void {
    this.parts.queue.release(tenantId, this.nowMs());
  }

  /** Puts a tenant in front, and resolves when it has been looked at once more, or after `timeoutMs`. */
  look(tenantId: string, timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const waiters = this.waiters.get(tenantId) ?? new Set();
      this.waiters.set(tenantId, waiters);
      const done = () => {
        timer.cancel();
        waiters.delete(done);
        resolve();
      };
      const timer = this.parts.scheduler.setTimeout(done, timeoutMs);
      waiters.add(done);
      this.parts.queue.mark(tenantId, this.nowMs(), { urgent: true });
      this.schedule();
    });
  }

  /** Pumps when something is due. Never sooner than the current turn's end, so that wake-ups that come together are taken together. */
  schedule(): void {
    if (this.parts.isStopped()) return;
    const inMs = this.parts.queue.nextInMs(this.nowMs());
    if (inMs === null) return;
    this.cancel();
    this.timer = this.parts.scheduler.setTimeout(this.parts.pump, Math.ceil(Math.max(inMs, this.notBeforeMs - this.nowMs())));
  }

  cancel(): void {
    this.timer?.cancel();
  }

  nowMs(): number {
    return this.parts.scheduler.nowMs();
  }
}
