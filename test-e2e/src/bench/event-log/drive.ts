import { setTimeout as sleep } from 'node:timers/promises';

export interface Driven {
  perSecond: number;
  /** Of each call, in no order. */
  eachMs: number[];
}

/** `callers` callers, each with its next call as soon as its last one is answered, for `forMs`. */
export async function drive(callers: number, forMs: number, call: (caller: number, n: number) => Promise<unknown>): Promise<Driven> {
  const eachMs: number[] = [];
  const begun = performance.now();
  const end = begun + forMs;
  await Promise.all(
    Array.from({ length: callers }, async (_, caller) => {
      for (let n = 0; performance.now() < end; n++) {
        const started = performance.now();
        await call(caller, n);
        eachMs.push(performance.now() - started);
      }
    }),
  );
  return { perSecond: eachMs.length / ((performance.now() - begun) / 1000), eachMs };
}

/**
 * Starts `work` at random moments, `perSecond` of them a second on average, for that long; it gets when it was due (on the clock of
 * `performance.now()`), not when this loop came to it. Waits for all of it.
 */
export async function offer(perSecond: number, forMs: number, work: (dueMs: number) => Promise<void>): Promise<void> {
  const begun = performance.now();
  const all: Promise<void>[] = [];
  for (let dueMs = begun; dueMs < begun + forMs; dueMs += -Math.log(1 - Math.random()) * (1_000 / perSecond)) {
    const inMs = dueMs - performance.now();
    if (inMs > 1) await sleep(inMs);
    all.push(work(dueMs));
  }
  await Promise.all(all);
}
