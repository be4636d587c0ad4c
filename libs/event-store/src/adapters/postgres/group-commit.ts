/** What waits to be appended. */
export interface Waiting {
  tenantId: string;
  bytes: number;
}

export interface GroupLimits {
  /** Commands in a group. */
  commands: number;
  /** Bytes in a group; a command above it goes alone. */
  bytes: number;
  /** Groups at the same time. */
  inFlight: number;
}

export const groupLimits: GroupLimits = { commands: 64, bytes: 256 * 1024, inFlight: 2 };

/**
 * Collects while groups are under way, so that the busier the log is, the more commands share a commit.
 * Two groups that are under way never share a tenant, and a tenant's commands keep their order.
 */
export class GroupCommit<W extends Waiting> {
  private waiting: W[] = [];
  private readonly busy = new Set<string>();
  private inFlight = 0;
  private scheduled = false;

  /** `commit` handles the outcome of every member, failures included: it must not reject. */
  constructor(
    private readonly commit: (group: W[]) => Promise<void>,
    private readonly limits: GroupLimits = groupLimits,
  ) {}

  add(item: W): void {
    this.waiting.push(item);
    this.schedule();
  }

  // Not at once: what comes in the same turn of the event loop goes in the same group.
  private schedule(): void {
    if (this.scheduled || this.inFlight >= this.limits.inFlight) return;
    this.scheduled = true;
    setImmediate(() => {
      this.scheduled = false;
      this.start();
    });
  }

  private start(): void {
    while (this.inFlight < this.limits.inFlight) {
      const group = this.take();
      if (group.length === 0) return;
      void this.run(group);
    }
  }

  private async run(group: W[]): Promise<void> {
    const tenants = new Set(group.map(({ tenantId }) => tenantId));
    for (const tenant of tenants) this.busy.add(tenant);
    this.inFlight++;
    try {
      await this.commit(group);
    } finally {
      this.inFlight--;
      for (const tenant of tenants) this.busy.delete(tenant);
      if (this.waiting.length > 0) this.schedule();
    }
  }

  private take(): W[] {
    const group: W[] = [];
    const left: W[] = [];
    // A tenant with a command left behind waits with all that follow it.
    const passed = new Set<string>();
    let bytes = 0;
    for (const item of this.waiting) {
      const fits = group.length === 0 || (group.length < this.limits.commands && bytes + item.bytes <= this.limits.bytes);
      if (fits && !this.busy.has(item.tenantId) && !passed.has(item.tenantId)) {
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
