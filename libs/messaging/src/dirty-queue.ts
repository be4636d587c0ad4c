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

/** While tenants are taken when they are due, they needn't wait for what follows. */
export interface Calm {
  /** A tenant that is taken later than this shows that there is more to do than can be done at once. The later, the longer is the delay from then on. */
  lateMs: number;
  /** A tenant's first interval; it doubles each time the tenant becomes dirty again within it. */
  intervalMs: number;
  /** The longest interval while it is calm. */
  maxIntervalMs: number;
}

interface Pending {
  dueMs: number;
  held: boolean;
}
interface Run {
  startedMs: number;
  /** From then to the tenant's next run, at least. */
  intervalMs: number;
}
interface Running extends Run {
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
  private strain = { delayMs: 0, untilMs: Number.NEGATIVE_INFINITY };
  private readonly lastRuns = new Map<string, Run>();

  /** @param delayMs from a wake-up to the run @param intervalMs at least, from the start of a tenant's run to its next one */
  constructor(
    private readonly delayMs: number,
    private readonly intervalMs: number,
    private readonly calm: Calm | null = null,
  ) {}

  /** @param force also where it waits for its place @param urgent somebody waits for the result: without delay */
  mark(tenantId: string, nowMs: number, { force = false, urgent = false }: { force?: boolean; urgent?: boolean } = {}): void {
    const running = this.running.get(tenantId);
    if (running) {
      const dueMs = urgent || force ? nowMs : Math.max(nowMs, running.startedMs + running.intervalMs);
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
    const last = this.lastRuns.get(tenantId);
    const earliestMs = last ? last.startedMs + last.intervalMs : nowMs;
    this.put(tenantId, urgent ? nowMs : Math.max(nowMs + this.delayAt(nowMs), earliestMs));
  }

  /** Its place may be there now: a tenant that waits for it (or finds out right now that it has to) runs again. */
  resume(tenantId: string, nowMs: number): void {
    if (this.waiting.has(tenantId) || this.running.has(tenantId)) this.mark(tenantId, nowMs, { force: true });
  }

  /** What held it is over. */
  release(tenantId: string, nowMs: number): void {
    if (this.pending.get(tenantId)?.held) this.pending.delete(tenantId);
    this.mark(tenantId, nowMs, { urgent: true });
  }

  /** Takes up to `limit` due tenants; each must be given back with `done`. */
  take(limit: number, nowMs: number): string[] {
    const taken: string[] = [];
    for (const [tenantId, { dueMs }] of this.pending) {
      if (taken.length >= limit) break;
      if (dueMs > nowMs) continue;
      taken.push(tenantId);
      if (this.calm && nowMs - dueMs > this.calm.lateMs) this.strained(nowMs - dueMs, nowMs);
    }
    for (const tenantId of taken) {
      this.pending.delete(tenantId);
      this.running.set(tenantId, { startedMs: nowMs, intervalMs: this.intervalOf(tenantId, nowMs), againMs: null, forced: false });
    }
    return taken;
  }

  done(tenantId: string, outcome: Outcome, nowMs: number): void {
    const running = this.running.get(tenantId);
    if (!running) return;
    this.running.delete(tenantId);
    this.remember(tenantId, running, nowMs);
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

  private strained(lateMs: number, nowMs: number): void {
    const delayMs = Math.min(this.delayMs, 3 * lateMs);
    if (nowMs < this.strain.untilMs && delayMs < this.strain.delayMs) return;
    this.strain = { delayMs, untilMs: nowMs + this.delayMs };
  }

  /** From a wake-up to the run. */
  private delayAt(nowMs: number): number {
    if (!this.calm) return this.delayMs;
    return nowMs < this.strain.untilMs ? this.strain.delayMs : 0;
  }

  /** Of a run that begins: short for a tenant that was quiet, longer for one that keeps coming. */
  private intervalOf(tenantId: string, nowMs: number): number {
    if (!this.calm) return this.intervalMs;
    const delayMs = this.delayAt(nowMs);
    if (delayMs > 0) return Math.min(this.intervalMs, Math.max(this.calm.maxIntervalMs, delayMs));
    const last = this.lastRuns.get(tenantId);
    if (!last || nowMs > last.startedMs + last.intervalMs * 2) return this.calm.intervalMs;
    return Math.min(this.calm.maxIntervalMs, last.intervalMs * 2);
  }

  private put(tenantId: string, dueMs: number, held = false): void {
    this.waiting.delete(tenantId);
    this.pending.set(tenantId, { dueMs, held });
  }

  /** Kept in the order of the runs, so that the old ones are at the front. */
  private remember(tenantId: string, { startedMs, intervalMs }: Run, nowMs: number): void {
    this.lastRuns.delete(tenantId);
    this.lastRuns.set(tenantId, { startedMs, intervalMs });
    for (const [oldest, last] of this.lastRuns) {
      if (last.startedMs + this.intervalMs * 2 > nowMs) break;
      this.lastRuns.delete(oldest);
    }
  }
}
