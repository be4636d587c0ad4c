import type { Hint, HintStore } from './consumer-rows.js';

/** Hints, written after commits, in batches, by this process; what is lost with it the sweep makes good. */
export class Hints {
  private readonly changed = new Map<string, Hint & { consumer: string; tenantId: string }>();
  private writing: Promise<void> = Promise.resolve();

  constructor(private readonly store: HintStore) {}

  note(consumer: string, tenantId: string, hint: Hint): void {
    this.changed.set(`${consumer}:${tenantId}`, { consumer, tenantId, ...hint });
  }

  read(consumer: string, tenantIds: string[]): Promise<Map<string, Hint>> {
    return this.store.read(consumer, tenantIds);
  }

  /** One flush at a time. Hints that could not be written are dropped: the sweep finds their tenants again. */
  flush(): Promise<void> {
    this.writing = this.writing.catch(() => undefined).then(() => this.write());
    return this.writing;
  }

  private async write(): Promise<void> {
    if (this.changed.size === 0) return;
    const hints = [...this.changed.values()];
    this.changed.clear();
    await this.store.write(hints);
  }
}
