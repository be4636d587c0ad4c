import { cpus, totalmem } from 'node:os';
import pg from 'pg';

/** What every part of the benchmark gets. */
export interface BenchContext {
  postgres: {
    /** As the superuser, a database of the part's own on the server that all parts share: real fsync, the log's tables migrated. */
    url: string;
    /** The same database as a service does: may read the log and call `log.append()`, for every context. */
    serviceUrl: string;
    version: string;
  };
  /** Fresh tenant ids, 50 of them; a part that needs logs of its own makes ids of its own. */
  tenants: readonly string[];
  /** A smoke run: seconds instead of minutes, figures without meaning. */
  quick: boolean;
  /** For whoever watches; the result is in what the part returns. */
  log(line: string): void;
}

/** What a part measured. Rates per second; each ratio is `ours` divided by the reference. */
export interface Part {
  ours: number;
  /** The first target's reference. */
  reference: number;
  ratio: number;
  references?: Record<string, number>;
  ratios?: Record<string, number>;
  p50Ms?: number;
  p99Ms?: number;
  /** Whatever else a reader wants to know, under names that say their unit. */
  [more: string]: unknown;
}

export const machine = (postgres: string) => ({
  cpus: cpus().length,
  memory: totalmem(),
  node: process.version,
  postgres,
  nats: process.env['TENANTRY_NATS_VERSION'] ?? 'from PATH',
});

export const round = (value: number, digits = 0): number => Math.round(value * 10 ** digits) / 10 ** digits;

/** The value below which the share `p` of the values lies. */
export const percentile = (values: readonly number[], p: number): number => {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * p))] ?? 0;
};

export const spread = (eachMs: readonly number[]) => ({
  p50Ms: round(percentile(eachMs, 0.5), 1),
  p99Ms: round(percentile(eachMs, 0.99), 1),
});

export const median = (values: readonly number[]): number => percentile(values, 0.5);

/** Pools that end together: `await using pools = new Pools()`. */
export class Pools implements AsyncDisposable {
  private readonly all: pg.Pool[] = [];

  open(url: string, max: number): pg.Pool {
    const pool = new pg.Pool({ connectionString: url, max });
    this.all.push(pool);
    return pool;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.all.map((pool) => pool.end()));
  }
}
