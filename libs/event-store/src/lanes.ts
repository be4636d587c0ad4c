/** What a stream is, or will be once everything before has been appended. */
export interface Base<State = unknown> {
  /** The aggregate that folded the state. */
  of: object;
  state: State;
  version: number;
  /** Of the event at `version`; undefined where it is not known or there is none. */
  lastEventId: string | undefined;
  position: number;
}

/** The commands of this process on one stream: they decide in turn, and append together. */
export class Lane {
  /** The end of the queue for the turn. */
  private tail: Promise<void> = Promise.resolve();
  private readonly inFlight = new Set<Promise<unknown>>();
  /** Counts how often what was expected did not come true. */
  private generation = 0;
  private expected: Base | null = null;
  private confirmed: Base | null = null;
  users = 0;

  /** Waits for the turn; the function ends it. Whoever has the turn is the only one who decides. */
  async turn(): Promise<() => void> {
    const before = this.tail;
    let end = () => {};
    this.tail = new Promise((done) => {
      end = done;
    });
    await before;
    return end;
  }

  /** What the stream will be when everything under way has been appended; null where that cannot be told. */
  ahead<State>(of: object): Base<State> | null {
    return this.expected?.of === of ? (this.expected as Base<State>) : null;
  }

  /** What the stream was when the log last said so: to read on from there. */
  known<State>(of: object): Base<State> | null {
    return this.confirmed?.of === of ? (this.confirmed as Base<State>) : null;
  }

  /** Until nothing of this stream is under way; with the turn, nothing follows. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.inFlight);
  }

  /** The log has said what the stream is. */
  confirm(base: Base): void {
    if (this.confirmed?.of !== base.of || this.confirmed.version <= base.version) this.confirmed = base;
  }

  /** Forgets what the log has said: it no longer fits. */
  forget(): void {
    this.confirmed = null;
    this.expected = null;
    this.generation++;
  }

  /** Follows an append from its start; `after` is the stream once it is done, null where that cannot be told before. */
  follow<Result>(append: Promise<Result>, after: Base | null, succeeded: (result: Result) => boolean): void {
    const { generation } = this;
    this.expected = after;
    const failed = () => {
      // Once per chain: what was decided since then stands on something else.
      if (generation !== this.generation) return;
      this.generation++;
      this.expected = null;
    };
    const followed = append.then((result) => {
      if (!succeeded(result)) failed();
    }, failed);
    this.inFlight.add(followed);
    void followed.finally(() => this.inFlight.delete(followed));
  }
}

/** A lane per stream that is in use; what nobody uses is forgotten. */
export class Lanes {
  private readonly lanes = new Map<string, Lane>();

  async within<Result>(tenantId: string, stream: string, work: (lane: Lane) => Promise<Result>): Promise<Result> {
    const key = `${tenantId} ${stream}`;
    const lane = this.lanes.get(key) ?? new Lane();
    this.lanes.set(key, lane);
    lane.users++;
    try {
      return await work(lane);
    } finally {
      lane.users--;
      if (lane.users === 0) this.lanes.delete(key);
    }
  }

  get size(): number {
    return this.lanes.size;
  }
}
