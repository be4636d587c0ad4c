/** Time is passed in, never reached for. Instants are RFC 3339 strings in UTC. */
export type Instant = string;

export abstract class Clock {
  abstract now(): Instant;
  /** Milliseconds since the epoch, of the same clock. */
  abstract nowMs(): number;
}

export class SystemClock extends Clock {
  override now(): Instant {
    return new Date().toISOString();
  }
  override nowMs(): number {
    return Date.now();
  }
}

/** A clock for tests: stands still until moved. */
export class ManualClock extends Clock {
  constructor(private ms = Date.parse('2026-01-01T00:00:00Z')) {
    super();
  }
  override now(): Instant {
    return new Date(this.ms).toISOString();
  }
  override nowMs(): number {
    return this.ms;
  }
  advance(byMs: number): void {
    this.ms += byMs;
  }
}
