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

  /** The stream was read, with the turn and nothing under way. */
  saw(base: Base): void {
    this.confirmed = base;
    this.expected = base;
  }

  /** An append was answered; the answers of several may overtake each other. */
  confirm(base: Base): void {
    if (this.confirmed?.of !== base.of || this.confirmed.version < base.version) this.confirmed = base;
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

/** A lane per stream that is in use, and of the others those that were used last: a command often follows soon on the same stream. */
export class Lanes {
  private readonly inUse = new Map<string, Lane>();
  /** In the order of their last use. */
  private readonly idle = new Map<string, Lane>();

  constructor(private readonly maxIdle: number) {}

  async within<Result>(tenantId: string, stream: string, work: (lane: Lane) => Promise<Result>): Promise<Result> {
    const key = `${tenantId} ${stream}`;
    const lane = this.inUse.get(key) ?? this.idle.get(key) ?? new Lane();
    this.idle.delete(key);
    this.inUse.set(key, lane);
    lane.users++;
    try {
      return await work(lane);
    } finally {
      lane.users--;
      if (lane.users === 0) this.rest(key, lane);
    }
  }

  private rest(key: string, lane: Lane): void {
    this.inUse.delete(key);
    this.idle.set(key, lane);
    if (this.idle.size <= this.maxIdle) return;
    for (const [oldest] of this.idle) {
      this.idle.delete(oldest);
      return;
    }
  }

  get size(): { inUse: number; idle: number } {
    return { inUse: this.inUse.size, idle: this.idle.size };
  }
}
