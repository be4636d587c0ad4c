import { newId } from '@tenantry/contracts/ids';
import { faultPoint } from '@tenantry/observability/fault';
import type { Logger } from '@tenantry/observability/logger';
import { errorText } from '@tenantry/observability/redact';
import { backoffMs } from './backoff.js';
import type { Claimed, EffectStore, Ending } from './effect-store.js';
import { ComeBack, type EffectHandler, GiveUp } from './effects.js';
import type { Scheduler, Timer } from './scheduler.js';

export interface EffectWorkerParts {
  store: EffectStore;
  scheduler: Scheduler;
  handlers: EffectHandler[];
  logger: Logger;
  /**
   * Who claims, the same after a restart: what this owner held when it died is taken up at once, without waiting for the lease to run out.
   * Never of two processes at the same time. By default nobody else's: leases of a dead process run out.
   */
  owner?: string;
  options?: Partial<EffectWorkerOptions>;
}
export interface EffectWorkerOptions {
  pollMs: number;
  leaseMs: number;
  baseMs: number;
  capMs: number;
  maxAttempts: number;
}
const defaults: EffectWorkerOptions = { pollMs: 1_000, leaseMs: 30_000, baseMs: 200, capMs: 60_000, maxAttempts: 20 };

interface Running {
  claimed: Claimed;
  abort: AbortController;
  finished: Promise<void>;
}
/**
 * Runs the effects of the service's outbox, at least once each. An effect is claimed with a lease that is renewed while it runs;
 * who finds an expired one takes it over. `claims` fences: an outcome is recorded only by who claimed last.
 */
export class EffectWorker {
  private readonly options: EffectWorkerOptions;
  private readonly owner: string;
  private readonly handlers: Map<string, EffectHandler>;
  private readonly running = new Map<string, Running>();
  private readonly endings = new Map<string, { ending: Ending; recorded: () => void; failed: (error: unknown) => void }>();
  /** Effects of which as many were claimed as could be run: there may be more. */
  private readonly saturated = new Set<string>();
  private recording = false;
  private claiming = false;
  private wanted = false;
  private stopped = true;
  private timers: Timer[] = [];

  constructor(private readonly parts: EffectWorkerParts) {
    this.options = { ...defaults, ...parts.options };
    this.owner = parts.owner ?? newId();
    this.handlers = new Map(parts.handlers.map((handler) => [handler.effect, handler]));
  }

  start(): void {
    if (this.handlers.size === 0) return;
    this.stopped = false;
    const { scheduler } = this.parts;
    this.timers = [
      scheduler.setInterval(() => this.wake(), this.options.pollMs),
      scheduler.setInterval(() => void this.renew(), this.options.leaseMs / 3),
    ];
    void this.takeBack().finally(() => this.wake());
  }

  /** What the process before this one was doing when it died. */
  private async takeBack(): Promise<void> {
    try {
      await this.parts.store.takeBack(this.owner);
    } catch (error) {
      this.parts.logger.warn({ err: error }, 'Leases of before could not be taken back; they will run out');
    }
  }

  /** There may be something to claim. Cheap; calls during a claim become one more. */
  wake(): void {
    if (this.stopped) return;
    this.wanted = true;
    if (!this.claiming) void this.claimLoop();
  }

  /** Claims nothing more, tells the running ones, waits for them up to `graceMs`, and gives the leases of the rest back. */
  async stop(graceMs = 5_000): Promise<void> {
    if (this.stopped) return;
    this.stopped = true;
    for (const timer of this.timers) timer.cancel();
    for (const { abort } of this.running.values()) abort.abort(new Error('The process is shutting down'));
    let timer: Timer | undefined;
    const grace = new Promise<void>((resolve) => {
      timer = this.parts.scheduler.setTimeout(resolve, graceMs);
    });
    await Promise.race([Promise.allSettled([...this.running.values()].map(({ finished }) => finished)), grace]);
    timer?.cancel();
    await this.giveBack([...this.running.values()].map(({ claimed }) => claimed));
  }

  private async claimLoop(): Promise<void> {
    this.claiming = true;
    try {
      while (this.wanted && !this.stopped) {
        this.wanted = false;
        const claimed = await this.claim();
        if (this.stopped) {
          await this.giveBack(claimed);
          return;
        }
        for (const effect of claimed) this.begin(effect);
      }
    } catch (error) {
      this.parts.logger.warn({ err: error }, 'Effects could not be claimed; the next poll tries again');
    } finally {
      this.claiming = false;
    }
  }

  private async claim(): Promise<Claimed[]> {
    const free = [...this.handlers.values()]
      .map((handler) => ({ name: handler.effect, free: handler.concurrency - this.countOf(handler.effect) }))
      .filter((capacity) => capacity.free > 0);
    if (free.length === 0) return [];
    const rows = await this.parts.store.claim(this.owner, free, this.options.leaseMs);
    for (const capacity of free) {
      if (rows.filter((row) => row.name === capacity.name).length === capacity.free) this.saturated.add(capacity.name);
    }
    return rows;
  }

  private countOf(name: string): number {
    let count = 0;
    for (const { claimed } of this.running.values()) if (claimed.name === name) count += 1;
    return count;
  }

  private begin(claimed: Claimed): void {
    // An effect whose lease ran out here was claimed once more, by this same process: the older run has lost it.
    this.running.get(claimed.id)?.abort.abort(new Error('The lease was lost'));
    const abort = new AbortController();
    const run: Running = { claimed, abort, finished: Promise.resolve() };
    this.running.set(claimed.id, run);
    run.finished = this.execute(claimed, abort.signal)
      .catch((error: unknown) =>
        this.parts.logger.error(
          { effect: claimed.name, id: claimed.id, err: error },
          "An effect's outcome was not recorded; its lease will run out",
        ),
      )
      .finally(() => {
        if (this.running.get(claimed.id) === run) this.running.delete(claimed.id);
        if (this.saturated.delete(claimed.name)) this.wake();
      });
  }

  private async execute(claimed: Claimed, signal: AbortSignal): Promise<void> {
    const handler = this.handlers.get(claimed.name) as EffectHandler;
    let ending: Ending;
    try {
      await handler.run({
        id: claimed.id,
        tenantId: claimed.tenantId,
        name: claimed.name,
        payload: claimed.payload,
        causationId: claimed.causationId,
        attempt: claimed.failures + 1,
        signal,
      });
      await faultPoint('effect.done');
      ending = { ...of(claimed), state: 'done', delayMs: 0, error: null, failed: false };
    } catch (error) {
      ending = this.afterError(claimed, signal, error);
    }
    await this.record(ending);
    if (ending.state === 'done') await faultPoint('effect.recorded');
  }

  private afterError(claimed: Claimed, signal: AbortSignal, error: unknown): Ending {
    if (error instanceof ComeBack) return this.again(claimed, error.afterMs, null);
    const text = errorText(error);
    // Stopped by us, not by a fault of its own.
    if (signal.aborted) return this.again(claimed, 0, text);
    const failures = claimed.failures + 1;
    const seen = { effect: claimed.name, id: claimed.id, tenantId: claimed.tenantId, failures, error: text };
    if (error instanceof GiveUp || failures >= (this.handlers.get(claimed.name)?.maxAttempts ?? this.options.maxAttempts)) {
      this.parts.logger.error(seen, 'An effect is parked');
      return { ...of(claimed), state: 'parked', delayMs: 0, error: text, failed: true };
    }
    const delayMs = backoffMs(failures, this.options.baseMs, this.options.capMs, () => this.parts.scheduler.random());
    this.parts.logger.warn({ ...seen, delayMs }, 'An effect will be tried again');
    return { ...this.again(claimed, delayMs, text), failed: true };
  }

  private again(claimed: Claimed, delayMs: number, error: string | null): Ending {
    if (delayMs < this.options.pollMs) this.parts.scheduler.setTimeout(() => this.wake(), delayMs + 5);
    return { ...of(claimed), state: 'pending', delayMs, error, failed: false };
  }

  /** Outcomes that come while a statement runs go into the next one together. */
  private record(ending: Ending): Promise<void> {
    return new Promise((recorded, failed) => {
      this.endings.set(`${ending.id}:${ending.claims}`, { ending, recorded, failed });
      if (!this.recording) void this.recordLoop();
    });
  }

  private async recordLoop(): Promise<void> {
    this.recording = true;
    while (this.endings.size > 0) {
      const batch = [...this.endings.values()];
      this.endings.clear();
      try {
        await this.parts.store.record(batch.map(({ ending }) => ending));
        for (const { recorded } of batch) recorded();
      } catch (error) {
        for (const { failed } of batch) failed(error);
      }
    }
    this.recording = false;
  }

  private async giveBack(claimed: Claimed[]): Promise<void> {
    await Promise.all(claimed.map((effect) => this.record({ ...of(effect), state: 'pending', delayMs: 0, error: null, failed: false })));
  }

  /** Prolongs the leases of what runs here; what somebody else has taken over is aborted. */
  private async renew(): Promise<void> {
    const runs = [...this.running.values()];
    if (runs.length === 0) return;
    try {
      const holding = await this.parts.store.renew(
        runs.map(({ claimed }) => of(claimed)),
        this.options.leaseMs,
      );
      const kept = new Set(holding.map(({ id, claims }) => `${id}:${claims}`));
      for (const { claimed, abort } of runs) {
        if (!kept.has(`${claimed.id}:${claimed.claims}`) && this.running.get(claimed.id)?.claimed === claimed)
          abort.abort(new Error('The lease was lost'));
      }
    } catch (error) {
      this.parts.logger.warn({ err: error }, 'Leases could not be renewed');
    }
  }
}

const of = ({ id, claims }: Claimed) => ({ id, claims });
