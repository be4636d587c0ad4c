import type { MeasuredCommand } from '../../limits.js';
import type { AppendCommand, AppendResult } from '../../port.js';
import type { Tail } from './tail.js';

/** A command that its caller waits for. */
export interface Pending {
  command: AppendCommand;
  measured: MeasuredCommand;
  resolve: (result: AppendResult) => void;
  reject: (error: unknown) => void;
}

/** One log as this process knows it. */
export interface KnownLog {
  tenantId: string;
  /** What the copy was seen to have: the tail is not to be trusted before it has been read up to there. */
  atLeast: number;
  tail: Tail | null;
  waiting: Pending[];
  busy: boolean;
  /** The reading of its end that has begun, and the one that begins after it. */
  reading: Promise<void> | null;
  next: Promise<void> | null;
}

const MAX_LOGS = 5_000;
/** Events that are held of all logs, before those that rest are forgotten. */
const MAX_HELD = 60_000;

/** The logs that this process reads and appends to: as many as memory is meant for. */
export class KnownLogs {
  private readonly logs = new Map<string, KnownLog>();
  private runs = 0;

  get(tenantId: string): KnownLog | undefined {
    return this.logs.get(tenantId);
  }

  /** Begins to know it where it is new. */
  use(tenantId: string): KnownLog {
    let log = this.logs.get(tenantId);
    if (log) this.logs.delete(tenantId);
    else {
      log = { tenantId, atLeast: -1, tail: null, waiting: [], busy: false, reading: null, next: null };
      if (this.logs.size >= MAX_LOGS) this.forget(this.logs.size - MAX_LOGS + 100, 0);
    }
    // The most recently used is the last.
    this.logs.set(tenantId, log);
    return log;
  }

  /** To be called now and then: what is held is counted every 64th time. */
  bound(): void {
    if (++this.runs % 64 !== 0) return;
    let held = 0;
    for (const { tail } of this.logs.values()) held += tail?.weight ?? 0;
    if (held > MAX_HELD) this.forget(0, held - MAX_HELD / 2);
  }

  /** Lets go of logs that rest, those first that have rested longest. */
  private forget(count: number, events: number): void {
    for (const [tenantId, log] of this.logs) {
      if (count <= 0 && events <= 0) return;
      if (log.busy || log.reading || log.waiting.length > 0) continue;
      this.logs.delete(tenantId);
      count -= 1;
      events -= log.tail?.weight ?? 0;
    }
  }
}
