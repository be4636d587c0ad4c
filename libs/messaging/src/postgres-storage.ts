import type { Tenants } from '@tenantry/tenancy/tenants';
import type { Pool } from 'pg';
import type { Consumer } from './consumer.js';
import {
  type Attempt,
  AttemptStore,
  type ConsumerRows,
  type Hint,
  HintStore,
  type Parked,
  ParkedStore,
  RunnerStorage,
  type Skipped,
} from './consumer-rows.js';
import { PostgresServiceRows, PostgresTenantRows } from './postgres-rows.js';
import { schemaName } from './sql.js';
import { type Behind, Sweep } from './sweep.js';

/** In the service's own schema, and in the tenants' schemas wherever those are. */
export class PostgresRunnerStorage extends RunnerStorage {
  override readonly hints: HintStore;
  override readonly parked: ParkedStore;
  override readonly attempts: AttemptStore;

  /** @param pool control-plane database; the service's own login */
  constructor(
    private readonly pool: Pool,
    private readonly schema: string,
    private readonly tenants: Tenants,
  ) {
    super();
    this.hints = new PostgresHints(pool, schema);
    this.parked = new PostgresParked(pool, schema);
    this.attempts = new PostgresAttempts(pool, schema);
  }

  override rows(consumer: Consumer): ConsumerRows {
    return consumer.placement === 'service'
      ? new PostgresServiceRows(this.pool, this.schema, consumer)
      : new PostgresTenantRows(this.tenants, consumer);
  }
}

class PostgresHints extends HintStore {
  private readonly table: string;
  constructor(
    private readonly pool: Pool,
    schema: string,
  ) {
    super();
    this.table = `${schemaName(schema)}.hints`;
  }

  override async read(consumer: string, tenantIds: string[]): Promise<Map<string, Hint>> {
    const { rows } = await this.pool.query<{ tenant_id: string; version: string; generation: number; position: string }>(
      `SELECT tenant_id, version, generation, position FROM ${this.table} WHERE consumer = $1 AND tenant_id = ANY($2::uuid[])`,
      [consumer, tenantIds],
    );
    return new Map(
      rows.map((row) => [row.tenant_id, { version: row.version, generation: row.generation, position: Number(row.position) }]),
    );
  }

  override async write(hints: (Hint & { consumer: string; tenantId: string })[]): Promise<void> {
    // In one order everywhere: two replicas would deadlock.
    const rows = hints
      .map(({ tenantId, ...hint }) => ({ tenant_id: tenantId, ...hint }))
      .sort((a, b) => (a.tenant_id < b.tenant_id ? -1 : 1));
    await this.pool.query({
      name: `hints ${this.table}`,
      text: `INSERT INTO ${this.table} (consumer, tenant_id, version, generation, position)
             SELECT consumer, tenant_id, version, generation, position
             FROM json_to_recordset($1::json) AS r(consumer text, tenant_id uuid, version text, generation int, position bigint)
             ON CONFLICT (consumer, tenant_id) DO UPDATE
             SET version = excluded.version, generation = excluded.generation, position = excluded.position`,
      values: [JSON.stringify(rows)],
    });
  }

  override behind(consumer: string, version: string, withinMs?: number): AsyncIterable<Behind[]> {
    return new Sweep(
      this.pool,
      this.table,
      'AND p.consumer = $1 AND p.version = $2',
      [consumer, version],
      consumer === 'service' ? null : 'p.generation',
    ).behind(withinMs);
  }
}

class PostgresParked extends ParkedStore {
  private readonly table: string;
  private readonly skips: string;
  constructor(
    private readonly pool: Pool,
    schema: string,
  ) {
    super();
    this.table = `${schemaName(schema)}.parked`;
    this.skips = `${schema}.skipped`;
  }

  override async all(): ReturnType<ParkedStore['all']> {
    // By the server's clock, which wrote the time too: whatever this machine's clock says.
    const { rows } = await this.pool.query<{
      consumer: string;
      tenant_id: string;
      position: string;
      attempts: number;
      retry_in_ms: string | null;
    }>(
      `SELECT consumer, tenant_id, position, attempts, extract(epoch FROM next_retry_at - now()) * 1000 AS retry_in_ms FROM ${this.table}`,
    );
    return rows.map((row) => ({
      consumer: row.consumer,
      tenantId: row.tenant_id,
      position: Number(row.position),
      attempts: row.attempts,
      retryInMs: row.retry_in_ms === null ? null : Number(row.retry_in_ms),
    }));
  }

  override async put({ consumer, tenantId, position, eventId, type, error, attempts, retryInMs }: Parked): Promise<void> {
    await this.pool.query(
      `INSERT INTO ${this.table} (consumer, tenant_id, position, event_id, error, attempts, next_retry_at, type)
       VALUES ($1, $2, $3, $4, $5, $6, now() + $7::float8 * interval '1 ms', $8)
       ON CONFLICT (consumer, tenant_id) DO UPDATE SET position = excluded.position, event_id = excluded.event_id,
         error = excluded.error, attempts = excluded.attempts, next_retry_at = excluded.next_retry_at, type = excluded.type`,
      [consumer, tenantId, position, eventId, error.replaceAll('\0', '').slice(0, 4_000), attempts, retryInMs, type],
    );
  }

  override async skipped(): Promise<Skipped[]> {
    const { rows } = await this.pool.query<{ consumer: string; tenant_id: string; event_id: string }>(
      `SELECT consumer, tenant_id, event_id FROM ${this.skips}`,
    );
    return rows.map((row) => ({ consumer: row.consumer, tenantId: row.tenant_id, eventId: row.event_id }));
  }

  override async remove(consumer: string, tenantId: string): Promise<void> {
    await this.pool.query(`DELETE FROM ${this.table} WHERE consumer = $1 AND tenant_id = $2`, [consumer, tenantId]);
  }
}

class PostgresAttempts extends AttemptStore {
  private readonly schema: string;
  constructor(
    private readonly pool: Pool,
    schema: string,
  ) {
    super();
    this.schema = schemaName(schema);
  }

  override async begin(owner: string): Promise<{ died: boolean; attempts: Attempt[] }> {
    const { rowCount } = await this.pool.query(`INSERT INTO ${this.schema}.runs (owner) VALUES ($1) ON CONFLICT DO NOTHING`, [owner]);
    if (rowCount === 1) return { died: false, attempts: [] };
    await this.pool.query(`UPDATE ${this.schema}.runs SET begun_at = now() WHERE owner = $1`, [owner]);
    const { rows } = await this.pool.query<{
      consumer: string;
      tenant_id: string;
      event_id: string;
      type: string;
      position: string;
      until_position: string;
      crashes: number;
    }>(
      // What was noted in an earlier run only was not being applied when this one ended.
      `WITH over AS (DELETE FROM ${this.schema}.attempts WHERE owner = $1 AND NOT noted)
       UPDATE ${this.schema}.attempts SET crashes = crashes + 1, noted = false WHERE owner = $1 AND noted
       RETURNING consumer, tenant_id, event_id, type, position, until_position, crashes`,
      [owner],
    );
    return {
      died: true,
      attempts: rows.map((row) => ({
        consumer: row.consumer,
        event: { tenantId: row.tenant_id, position: Number(row.position), id: row.event_id, type: row.type },
        untilPosition: Number(row.until_position),
        crashes: row.crashes,
      })),
    };
  }

  override async note(owner: string, attempts: Attempt[]): Promise<void> {
    await this.pool.query(
      `INSERT INTO ${this.schema}.attempts AS a (owner, consumer, tenant_id, event_id, type, position, until_position, crashes)
       SELECT $1, consumer, tenant_id, event_id, type, position, until_position, 0
       FROM json_to_recordset($2::json) AS r(consumer text, tenant_id uuid, event_id uuid, type text, position bigint, until_position bigint)
       ON CONFLICT (owner, consumer, tenant_id) DO UPDATE
       SET noted = true, event_id = excluded.event_id, type = excluded.type, position = excluded.position, until_position = excluded.until_position,
           crashes = CASE WHEN a.event_id = excluded.event_id AND a.position = a.until_position THEN a.crashes ELSE 0 END`,
      [
        owner,
        JSON.stringify(
          attempts.map(({ consumer, event, untilPosition }) => ({
            consumer,
            tenant_id: event.tenantId,
            event_id: event.id,
            type: event.type,
            position: event.position,
            until_position: untilPosition,
          })),
        ),
      ],
    );
  }

  override async clear(owner: string, consumer: string, tenantIds: string[]): Promise<void> {
    await this.pool.query(`DELETE FROM ${this.schema}.attempts WHERE owner = $1 AND consumer = $2 AND tenant_id = ANY($3::uuid[])`, [
      owner,
      consumer,
      tenantIds,
    ]);
  }

  override async end(owner: string): Promise<void> {
    await this.pool.query(`DELETE FROM ${this.schema}.runs WHERE owner = $1`, [owner]);
  }
}
