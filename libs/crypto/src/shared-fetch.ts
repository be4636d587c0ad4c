interface Held<V> {
  value: V;
  fetchedAt: number;
}

/** Values by name that are fetched several at once and kept for a while. Who asks for one that is on its way waits for the same answer. A failure is not kept. */
export class SharedFetch<V> {
  private readonly held = new Map<string, Held<V>>();
  private readonly pending = new Map<string, Promise<Map<string, V>>>();

  constructor(
    private readonly fetch: (names: string[]) => Promise<Map<string, V>>,
    private readonly options: { maxAgeMs: number; maxHeld: number; nowMs: () => number },
  ) {}

  /** What was not answered is not in it. */
  async get(names: Iterable<string>): Promise<Map<string, V>> {
    const found = new Map<string, V>();
    const waitFor = new Map<string, Promise<Map<string, V>>>();
    const missing: string[] = [];
    for (const name of new Set(names)) {
      const held = this.peek(name);
      const pending = held === undefined ? this.pending.get(name) : undefined;
      if (held !== undefined) found.set(name, held);
      else if (pending) waitFor.set(name, pending);
      else missing.push(name);
    }
    if (missing.length > 0) {
      const fetching = this.fetchAll(missing);
      for (const name of missing) {
        this.pending.set(name, fetching);
        waitFor.set(name, fetching);
      }
    }
    const answers = await Promise.all(waitFor.values());
    let index = 0;
    for (const name of waitFor.keys()) {
      const value = answers[index++]?.get(name);
      if (value !== undefined) found.set(name, value);
    }
    return found;
  }

  peek(name: string): V | undefined {
    const held = this.held.get(name);
    return held && held.fetchedAt > this.options.nowMs() - this.options.maxAgeMs ? held.value : undefined;
  }

  drop(name: string): void {
    this.held.delete(name);
  }

  private async fetchAll(names: string[]): Promise<Map<string, V>> {
    // The age counts from the question: the answer may have been overtaken by a destruction.
    const fetchedAt = this.options.nowMs();
    try {
      const fetched = await this.fetch(names);
      for (const [name, value] of fetched) {
        this.held.delete(name);
        this.held.set(name, { value, fetchedAt });
      }
      for (const oldest of this.held.keys()) {
        if (this.held.size <= this.options.maxHeld) break;
        this.held.delete(oldest);
      }
      return fetched;
    } finally {
      for (const name of names) this.pending.delete(name);
    }
  }
}
