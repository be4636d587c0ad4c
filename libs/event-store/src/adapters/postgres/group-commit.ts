/** What waits to be appended. */
export interface Waiting {
  tenantId: string;
  bytes: number;
  /** How often a group went without it, because somebody else held its tenant's log. */
  skips?: number;
  /** When that was the first time, by `performance.now()`. */
  skippedAtMs?: number;
}

export interface GroupLimits {
  /** Commands in a group. */
  commands: number;
  /** Bytes in a group; a command above it goes alone. */
  bytes: number;
  /** Groups at the same time. */
  inFlight: number;
  /** Beside them, groups of one tenant that wait for its log. */
  patient: number;
  /** How often an item is skipped at most before it waits for its log. */
  skips: number;
  /** How long, in ms. */
  skippedForMs: number;
}

export const groupLimits: GroupLimits = { commands: 64, bytes: 256 * 1024, inFlight: 2, patient: 2, skips: 3, skippedForMs: 50 };

/**
 * Collects while groups are under way, so that the busier the log is, the more commands share a commit.
 * Two groups that are under way never share a tenant, and a tenant's commands keep their order.
 * What a group skipped comes before all others of its tenant; skipped too often, it goes in a group of its tenant alone, which waits.
 */
export class GroupCommit<W extends Waiting> {
  private waiting: W[] = [];
  private readonly busy = new Set<string>();
  private inFlight = 0;
  private patient = 0;
  private scheduled = false;

  /** `commit` handles the outcome of every member, failures included, and gives those that were skipped: it must not reject. */
  constructor(
    private readonly commit: (group: W[]) => Promise<W[]>,
    private readonly limits: GroupLimits = groupLimits,
  ) {}

  add(item: W): void {
    this.waiting.push(item);
    this.schedule();
  }

  // Not at once: what comes in the same turn of the event loop goes in the same group.
  private schedule(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    setImmediate(() => {
      this.scheduled = false;
      this.start();
    });
  }

  private start(): void {
    while (this.inFlight < this.limits.inFlight) {
      const group = this.take((item) => !this.isOverdue(item));
      if (group.length === 0) break;
      this.inFlight++;
      void this.run(group).finally(() => {
        this.inFlight--;
      });
    }
    while (this.patient < this.limits.patient) {
      const overdue = this.waiting.find((item) => this.isOverdue(item) && !this.busy.has(item.tenantId));
      if (!overdue) return;
      this.patient++;
      void this.run(this.take(({ tenantId }) => tenantId === overdue.tenantId)).finally(() => {
        this.patient--;
      });
    }
  }

  private isOverdue({ skips = 0, skippedAtMs = 0 }: W): boolean {
    return skips >= this.limits.skips || (skips > 0 && performance.now() - skippedAtMs > this.limits.skippedForMs);
  }

  private async run(group: W[]): Promise<void> {
    const tenants = new Set(group.map(({ tenantId }) => tenantId));
    for (const tenant of tenants) this.busy.add(tenant);
    let skipped: W[] = [];
    try {
      skipped = await this.commit(group);
    } finally {
      for (const item of skipped) {
        item.skips = (item.skips ?? 0) + 1;
        item.skippedAtMs ??= performance.now();
      }
      // Nothing of their tenants was taken meanwhile, so in front they keep their order.
      this.waiting.unshift(...skipped);
      for (const tenant of tenants) this.busy.delete(tenant);
      if (this.waiting.length > 0) this.schedule();
    }
  }

  /** The next group of what is `wanted`, out of the queue. */
  private take(wanted: (item: W) => boolean): W[] {
    const group: W[] = [];
    const left: W[] = [];
    // A tenant with a command left behind waits with all that follow it.
    const passed = new Set<string>();
    let bytes = 0;
    for (const item of this.waiting) {
      const fits = group.length === 0 || (group.length < this.limits.commands && bytes + item.bytes <= this.limits.bytes);
      if (fits && !this.busy.has(item.tenantId) && !passed.has(item.tenantId) && wanted(item)) {
        group.push(item);
        bytes += item.bytes;
      } else {
        passed.add(item.tenantId);
        left.push(item);
      }
    }
    this.waiting = left;
    return group;
  }
}
