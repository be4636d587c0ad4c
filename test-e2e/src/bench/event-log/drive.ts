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
