import { Scheduler, type Timer } from '../scheduler.js';

/** What a simulated network or database answers when it fails: the code is one after which callers try again. */
export class Outage extends Error {
  readonly code = '57P01';
}

interface Planned {
  atMs: number;
  /** Of things planned for the same moment the earlier planned goes first. */
  order: number;
  run: () => void;
  cancelled: boolean;
}

/**
 * Time and chance of a simulation. Nothing waits for real: the next planned thing is done, all that follows from it without waiting is
 * done, then the clock moves on to the next. The same seed gives the same run.
 */
export class World {
  nowMs = 0;
  /** How wrong the wall clock is. */
  wallSkewMs = 0;
  private heap: Planned[] = [];
  private order = 0;
  private state: number;

  constructor(readonly seed: number) {
    this.state = (seed * 2654435761 + 1013904223) >>> 0;
  }

  /** In [0, 1): mulberry32. */
  readonly random = (): number => {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let mixed = this.state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
  /** An integer from 0 to below `count`. */
  below(count: number): number {
    return Math.floor(this.random() * count);
  }
  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)] as T;
  }
  chance(probability: number): boolean {
    return this.random() < probability;
  }
  uuid(): string {
    const hex = Array.from({ length: 32 }, () => this.below(16).toString(16)).join('');
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20)}`;
  }

  after(delayMs: number, run: () => void): Timer {
    const planned: Planned = { atMs: this.nowMs + Math.max(0, delayMs), order: this.order++, run, cancelled: false };
    this.push(planned);
    return {
      cancel: () => {
        planned.cancelled = true;
      },
    };
  }

  /** Goes on until that moment. */
  async runUntil(endMs: number): Promise<void> {
    for (let next = this.heap[0]; next && next.atMs <= endMs; next = this.heap[0]) {
      this.pop();
      if (next.cancelled) continue;
      this.nowMs = next.atMs;
      next.run();
      // Every promise that can go on does so before this resolves.
      await new Promise((resolve) => setImmediate(resolve));
    }
    this.nowMs = endMs;
  }

  private push(planned: Planned): void {
    const { heap } = this;
    let at = heap.push(planned) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!sooner(planned, heap[parent] as Planned)) break;
      heap[at] = heap[parent] as Planned;
      at = parent;
    }
    heap[at] = planned;
  }

  private pop(): void {
    const { heap } = this;
    const last = heap.pop() as Planned;
    if (heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && sooner(heap[child + 1] as Planned, heap[child] as Planned)) child++;
      if (!sooner(heap[child] as Planned, last)) break;
      heap[at] = heap[child] as Planned;
      at = child;
    }
    heap[at] = last;
  }
}

const sooner = (a: Planned, b: Planned) => a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);

/** How reliable what a process talks to is, now. */
export interface Weather {
  /** A request is lost, or its answer is: the caller learns of neither which. */
  loss: number;
  /** Longest time of one way. */
  latencyMs: number;
}

/**
 * One life of a program. Whatever it waits for, it waits for here: after `kill` nothing of it goes on, while it is frozen nothing
 * does until it thaws. A request that has left it is carried out all the same.
 */
export class Process {
  alive = true;
  private frozenUntilMs = 0;
  private readonly endings: (() => void)[] = [];
  readonly scheduler: Scheduler;

  constructor(
    readonly world: World,
    readonly name: string,
    private readonly weather: Weather,
  ) {
    this.scheduler = new ProcessScheduler(this);
  }

  kill(): void {
    this.alive = false;
    for (const end of this.endings) end();
  }
  freeze(forMs: number): void {
    this.frozenUntilMs = Math.max(this.frozenUntilMs, this.world.nowMs + forMs);
  }
  /** What its operating system does when it ends: connections are closed. */
  onKill(end: () => void): void {
    this.endings.push(end);
  }

  after(delayMs: number, run: () => void): Timer {
    const { world } = this;
    let cancelled = false;
    let timer: Timer | undefined;
    const fire = () => {
      if (cancelled || !this.alive) return;
      if (this.frozenUntilMs > world.nowMs) timer = world.after(this.frozenUntilMs - world.nowMs, fire);
      else run();
    };
    timer = world.after(delayMs, fire);
    return {
      cancel: () => {
        cancelled = true;
        timer?.cancel();
      },
    };
  }

  /** Has something done elsewhere. @throws Outage where the request or its answer was lost */
  ask<T>(work: () => T | Promise<T>): Promise<T> {
    const { world, weather } = this;
    const wayMs = () => world.random() * weather.latencyMs;
    return new Promise((resolve, reject) => {
      const lostMs = wayMs();
      if (world.chance(weather.loss / 2)) {
        this.after(lostMs, () => reject(new Outage('the request was lost')));
        return;
      }
      world.after(lostMs, () => {
        const answer = (give: () => void) => {
          if (world.chance(weather.loss / 2)) this.after(wayMs(), () => reject(new Outage('the answer was lost')));
          else this.after(wayMs(), give);
        };
        try {
          Promise.resolve(work()).then(
            (result) => answer(() => resolve(result)),
            (error: unknown) => answer(() => reject(error)),
          );
        } catch (error) {
          answer(() => reject(error));
        }
      });
    });
  }
}

class ProcessScheduler extends Scheduler {
  constructor(private readonly process: Process) {
    super();
  }
  override nowMs(): number {
    return this.process.world.nowMs;
  }
  override wallMs(): number {
    return this.process.world.nowMs + this.process.world.wallSkewMs;
  }
  override setTimeout(run: () => void, delayMs: number): Timer {
    return this.process.after(delayMs, run);
  }
  override setInterval(run: () => void, everyMs: number): Timer {
    let timer: Timer;
    const plan = () => {
      timer = this.process.after(everyMs, () => {
        plan();
        run();
      });
    };
    plan();
    return { cancel: () => timer.cancel() };
  }
  override sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.process.after(delayMs, resolve);
    });
  }
  override random(): number {
    return this.process.world.random();
  }
}
