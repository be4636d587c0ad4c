/** How a run of one tenant ended. */
export type Outcome =
  /** Nothing is left, as far as it saw. */
  | { next: 'idle' }
  /** There is more, or somebody else has it: to the end of the queue. */
  | { next: 'again'; delayMs?: number }
  /** Parked or backing off: nothing but time brings it back. */
  | { next: 'hold'; delayMs: number }
  /** It has no place yet: only a forced mark brings it back. */
  | { next: 'wait' };

interface Pending {
  dueMs: number;
  held: boolean;
}
interface Running {
  startedMs: number;
  /** Marked while it ran: due again then. */
  againMs: number | null;
  forced: boolean;
}

/**
 * The tenants that have something to do, each at most once, in the order in which they became dirty.
 * Any number of wake-ups for one tenant become one run; while it runs, one further run. Pure: time (in ms, of one steady clock) is passed in.
 */
export class DirtyQueue {
  private readonly pending = new Map<string, Pending>();
  private readonly running = new Map<string, Running>();
  private readonly waiting = new Set<string>();
  private readonly lastRuns = new Map<string, number>();

  /** @param delayMs from a wake-up to the run @param intervalMs at least, from the start of a tenant's run to its next one */
  constructor(
    private readonly delayMs: number,
    private readonly intervalMs: number,
  ) {}

  /** @param force also where it waits for its place @param urgent somebody waits for the result: without delay */
  mark(tenantId: string, nowMs: number, { force = false, urgent = false }: { force?: boolean; urgent?: boolean } = {}): void {
    const running = this.running.get(tenantId);
    if (running) {
      const dueMs = urgent || force ? nowMs : Math.max(nowMs, running.startedMs + this.intervalMs);
      running.againMs = Math.min(running.againMs ?? dueMs, dueMs);
      running.forced ||= force;
      return;
    }
    if (this.waiting.has(tenantId)) {
      if (force) this.put(tenantId, nowMs);
      return;
    }
    const pending = this.pending.get(tenantId);
    if (pending) {
      if (urgent && !pending.held) pending.dueMs = Math.min(pending.dueMs, nowMs);
      return;
    }
    const earliestMs = (this.lastRuns.get(tenantId) ?? Number.NEGATIVE_INFINITY) + this.intervalMs;
    this.put(tenantId, urgent ? nowMs : Math.max(nowMs + this.delayMs, earliestMs));
  }

  /** Its place may be there now: a tenant that waits for it (or finds out right now that it has to) runs again. */
  resume(tenantId: string, nowMs: number): void {
    if (this.waiting.has(tenantId) || this.running.has(tenantId)) this.mark(tenantId, nowMs, { force: true });
  }

  /** Takes up to `limit` due tenants; each must be given back with `done`. */
  take(limit: number, nowMs: number): string[] {
    const taken: string[] = [];
    for (const [tenantId, { dueMs }] of this.pending) {
      if (taken.length >= limit) break;
      if (dueMs <= nowMs) taken.push(tenantId);
    }
    for (const tenantId of taken) {
      this.pending.delete(tenantId);
      this.running.set(tenantId, { startedMs: nowMs, againMs: null, forced: false });
    }
    return taken;
  }

  done(tenantId: string, outcome: Outcome, nowMs: number): void {
    const running = this.running.get(tenantId);
    if (!running) return;
    this.running.delete(tenantId);
    this.remember(tenantId, running.startedMs, nowMs);
    if (outcome.next === 'again') this.put(tenantId, nowMs + (outcome.delayMs ?? 0));
    else if (outcome.next === 'hold') this.put(tenantId, nowMs + outcome.delayMs, true);
    else if (outcome.next === 'wait' && !running.forced) this.waiting.add(tenantId);
    else if (running.againMs !== null) this.put(tenantId, running.againMs);
  }

  /** Milliseconds until something is due; null where nothing is. */
  nextInMs(nowMs: number): number | null {
    let next = Number.POSITIVE_INFINITY;
    for (const { dueMs } of this.pending.values()) {
      if (dueMs <= nowMs) return 0;
      next = Math.min(next, dueMs);
    }
    return next === Number.POSITIVE_INFINITY ? null : next - nowMs;
  }

  /** Tenants that are queued, running or waiting. */
  get size(): number {
    return this.pending.size + this.running.size + this.waiting.size;
  }

  private put(tenantId: string, dueMs: number, held = false): void {
    this.waiting.delete(tenantId);
    this.pending.set(tenantId, { dueMs, held });
  }

  /** Kept in the order of the runs, so that the old ones are at the front. */
  private remember(tenantId: string, startedMs: number, nowMs: number): void {
    this.lastRuns.delete(tenantId);
    this.lastRuns.set(tenantId, startedMs);
    for (const [oldest, lastMs] of this.lastRuns) {
      if (lastMs + this.intervalMs > nowMs) break;
      this.lastRuns.delete(oldest);
    }
  }
}
