/** Exponential backoff with jitter over the upper half: attempt 1 waits `baseMs`/2 … `baseMs`, at most `capMs`. `random` gives [0, 1). */
export function backoffMs(attempt: number, baseMs: number, capMs: number, random: () => number = Math.random): number {
  const full = Math.min(capMs, baseMs * 2 ** Math.min(attempt - 1, 30));
  return Math.round(full / 2 + (full / 2) * random());
}
