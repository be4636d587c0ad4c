/** A pending call of `setTimeout` or `setInterval`. */
export interface Timer {
  cancel(): void;
}

/**
 * Time and chance for what runs in the background: everything that waits, repeats or rolls dice asks here,
 * so that a simulation can drive it, and the same seed gives the same run.
 */
export abstract class Scheduler {
  /** Milliseconds of a steady clock: only differences mean anything, and no jump of the wall clock touches it. */
  abstract nowMs(): number;
  /** Milliseconds since 1970, for what is written down. */
  abstract wallMs(): number;
  abstract setTimeout(run: () => void, delayMs: number): Timer;
  abstract setInterval(run: () => void, everyMs: number): Timer;
  abstract sleep(delayMs: number): Promise<void>;
  /** In [0, 1). */
  abstract random(): number;

  clearTimeout(timer: Timer | undefined): void {
    timer?.cancel();
  }
  clearInterval(timer: Timer | undefined): void {
    timer?.cancel();
  }
}

/** The machine's own. */
export class SystemScheduler extends Scheduler {
  override nowMs(): number {
    return performance.now();
  }
  override wallMs(): number {
    return Date.now();
  }
  override setTimeout(run: () => void, delayMs: number): Timer {
    const handle = setTimeout(run, delayMs);
    return { cancel: () => clearTimeout(handle) };
  }
  override setInterval(run: () => void, everyMs: number): Timer {
    const handle = setInterval(run, everyMs);
    return { cancel: () => clearInterval(handle) };
  }
  override sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, delayMs));
  }
  override random(): number {
    return Math.random();
  }
}
