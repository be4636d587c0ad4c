import type { Pool } from 'pg';
import type { Scheduler } from './scheduler.js';
import { schemaName } from './sql.js';

export const buckets = 64;

/** The bucket of a log: its last byte. Ids are hashes or random, so that buckets are even. */
export const bucketOf = (tenantId: string): number => Number.parseInt(tenantId.slice(-2), 16) % buckets;

/** Who is alive, and who has which bucket. */
export abstract class LeaseTable {
  /** Prolongs what the owner has, gives up what is more than its share, takes what is free. @returns the buckets that it has now */
  abstract renew(owner: string, leaseMs: number): Promise<number[]>;
  abstract release(owner: string): Promise<void>;
}

/**
 * Shares the buckets among the relays that are alive. A lease is prolonged well before its end; a relay that has more than its share
 * gives the rest up, one that has less takes what is free.
 */
export class Leases {
  private owned = new Set<number>();
  private untilMs = 0;

  /** @param owner unique per process @param leaseMs how long a dead relay's buckets stay untouched */
  constructor(
    private readonly table: LeaseTable,
    private readonly owner: string,
    private readonly scheduler: Scheduler,
    private readonly leaseMs: number,
  ) {}

  /** By this process's own clock, which counts from before the lease was asked for. */
  owns(tenantId: string): boolean {
    return this.scheduler.nowMs() < this.untilMs && this.owned.has(bucketOf(tenantId));
  }

  get buckets(): number[] {
    return this.scheduler.nowMs() < this.untilMs ? [...this.owned] : [];
  }

  /** @returns whether buckets were gained, so that there may be something to publish in them */
  async renew(): Promise<boolean> {
    const askedMs = this.scheduler.nowMs();
    const now = new Set(await this.table.renew(this.owner, this.leaseMs));
    const gained = [...now].some((bucket) => !this.owned.has(bucket)) || askedMs >= this.untilMs;
    this.owned = now;
    this.untilMs = askedMs + this.leaseMs - Math.min(1_000, this.leaseMs / 4);
    return gained;
  }

  /** Gives everything up at once, so that the others needn't wait for the end of the leases. */
  async release(): Promise<void> {
    this.owned.clear();
    this.untilMs = 0;
    await this.table.release(this.owner);
  }
}

/** `members` says who is alive, `leases` who has what. */
export class PostgresLeaseTable extends LeaseTable {
  private readonly schema: string;

  constructor(
    private readonly pool: Pool,
    schema: string,
  ) {
    super();
    this.schema = schemaName(schema);
  }

  override async renew(owner: string, leaseMs: number): Promise<number[]> {
    const { rows } = await this.pool.query<{ bucket: number }>(
      `WITH me AS (
         INSERT INTO ${this.schema}.members (owner, until) VALUES ($1, now() + $2 * interval '1 ms')
         ON CONFLICT (owner) DO UPDATE SET until = excluded.until),
       share AS (
         SELECT ceil(${buckets}.0 / (1 + (SELECT count(*) FROM ${this.schema}.members WHERE owner <> $1 AND until > now())))::int AS size),
       mine AS (
         SELECT bucket FROM ${this.schema}.leases WHERE owner = $1 ORDER BY bucket FOR UPDATE),
       kept AS (
         SELECT bucket FROM mine ORDER BY bucket LIMIT (SELECT size FROM share)),
       free AS (
         SELECT bucket FROM ${this.schema}.leases WHERE owner IS DISTINCT FROM $1 AND (owner IS NULL OR until <= now())
         ORDER BY bucket LIMIT greatest(0, (SELECT size FROM share) - (SELECT count(*) FROM kept)) FOR UPDATE SKIP LOCKED),
       changed AS (
         UPDATE ${this.schema}.leases l
         SET owner = CASE WHEN w.wanted THEN $1 END, until = CASE WHEN w.wanted THEN now() + $2 * interval '1 ms' ELSE now() END
         FROM (SELECT bucket, bucket IN (SELECT bucket FROM kept) AS wanted FROM mine UNION ALL SELECT bucket, true FROM free) w
         WHERE l.bucket = w.bucket RETURNING l.bucket, l.owner)
       SELECT bucket FROM changed WHERE owner = $1`,
      [owner, leaseMs],
    );
    return rows.map((row) => row.bucket);
  }

  override async release(owner: string): Promise<void> {
    await this.pool.query(
      `WITH gone AS (DELETE FROM ${this.schema}.members WHERE owner = $1 OR until < now() - interval '1 day')
       UPDATE ${this.schema}.leases SET owner = NULL, until = now() WHERE owner = $1`,
      [owner],
    );
  }
}
