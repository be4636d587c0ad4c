import { setTimeout as sleep } from 'node:timers/promises';

export interface EventuallyOptions {
  timeoutMs?: number;
  intervalMs?: number;
  /** What is waited for, for the error's text. */
  what?: string;
}

/**
 * Calls `probe` until it neither throws nor answers `undefined`, `null` or `false`, and answers what it answered.
 * @throws Error that says what was waited for, how long, and how the last attempt ended (its error is the `cause`)
 */
export async function eventually<T>(
  probe: () => T | Promise<T>,
  { timeoutMs = 10_000, intervalMs = 50, what = 'the condition' }: EventuallyOptions = {},
): Promise<NonNullable<Exclude<T, false>>> {
  const started = performance.now();
  let attempts = 0;
  for (;;) {
    let last: unknown;
    let failure: unknown;
    attempts++;
    try {
      last = await probe();
      if (last !== undefined && last !== null && last !== false) return last as NonNullable<Exclude<T, false>>;
    } catch (error) {
      failure = error;
    }
    if (performance.now() - started + intervalMs > timeoutMs) {
      const end = failure === undefined ? `it answered ${String(last)}` : failure instanceof Error ? failure.message : String(failure);
      throw new Error(`Waited ${timeoutMs} ms (${attempts} attempts) for ${what}; at the last attempt: ${end}`, { cause: failure });
    }
    await sleep(intervalMs);
  }
}
