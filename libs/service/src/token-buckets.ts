/** A bounded number of token buckets, by key. Time (ms, of one steady clock) is passed in. */
export class TokenBuckets {
  private readonly buckets = new Map<string, { tokens: number; atMs: number }>();

  /** @param size what may come at once @param perSecond what comes back */
  constructor(
    private readonly size: number,
    private readonly perSecond: number,
    private readonly maxKeys = 10_000,
  ) {}

  /** Takes one. False where there is none left. */
  take(key: string, nowMs: number): boolean {
    const left = this.left(key, nowMs);
    this.put(key, Math.max(0, left - 1), nowMs);
    return left >= 1;
  }

  left(key: string, nowMs: number): number {
    const bucket = this.buckets.get(key);
    return bucket ? Math.min(this.size, bucket.tokens + ((nowMs - bucket.atMs) / 1000) * this.perSecond) : this.size;
  }

  /** Seconds until there is one again. */
  retryAfterSeconds(key: string, nowMs: number): number {
    return Math.max(1, Math.ceil((1 - this.left(key, nowMs)) / this.perSecond));
  }

  private put(key: string, tokens: number, atMs: number): void {
    this.buckets.delete(key);
    // The one unused for longest is the fullest: least is lost with it.
    if (this.buckets.size >= this.maxKeys) this.buckets.delete(this.buckets.keys().next().value as string);
    this.buckets.set(key, { tokens, atMs });
  }
}
