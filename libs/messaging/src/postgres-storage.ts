import type { Tenants } from '@tenantry/tenancy/tenants';
import type { Pool } from 'pg';
import type { Consumer } from './consumer.js';
import { type ConsumerRows, type Hint, HintStore, type Parked, ParkedStore, RunnerStorage } from './consumer-rows.js';
import { PostgresServiceRows, PostgresTenantRows } from './postgres-rows.js';
import { schemaName } from './sql.js';
import { type Behind, Sweep } from './sweep.js';

/** In the service's own schema, and in the tenants' schemas wherever those are. */
export class PostgresRunnerStorage extends RunnerStorage {
  override readonly hints: HintStore;
  override readonly parked: ParkedStore;

  /** @param pool control-plane database; the service's own login */
  constructor(
    private readonly pool: Pool,
    private readonly schema: string,
    private readonly tenants: Tenants,
  ) {
    super();
    this.hints = new PostgresHints(pool, schema);
    this.parked = new PostgresParked(pool, schema);
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
    return new Sweep(this.pool, this.table, 'AND p.consumer = $1 AND p.version = $2', [consumer, version]).behind(withinMs);
  }
}

class PostgresParked extends ParkedStore {
  private readonly table: string;
  constructor(
    private readonly pool: Pool,
    schema: string,
  ) {
    super();
    this.table = `${schemaName(schema)}.parked`;
  }

  override async all(): Promise<Pick<Parked, 'consumer' | 'tenantId' | 'attempts' | 'retryInMs'>[]> {
    // By the server's clock, which wrote the time too: whatever this machine's clock says.
    const { rows } = await this.pool.query<{ consumer: string; tenant_id: string; attempts: number; retry_in_ms: string }>(
      `SELECT consumer, tenant_id, attempts, extract(epoch FROM next_retry_at - now()) * 1000 AS retry_in_ms FROM ${this.table}`,
    );
    return rows.map((row) => ({
      consumer: row.consumer,
      tenantId: row.tenant_id,
      attempts: row.attempts,
      retryInMs: Number(row.retry_in_ms),
    }));
  }

  override async put({ consumer, tenantId, position, eventId, error, attempts, retryInMs }: Parked): Promise<void> {
    await this.pool.query(
      `INSERT INTO ${this.table} (consumer, tenant_id, position, event_id, error, attempts, next_retry_at)
       VALUES ($1, $2, $3, $4, $5, $6, now() + $7 * interval '1 ms')
       ON CONFLICT (consumer, tenant_id) DO UPDATE SET position = excluded.position, event_id = excluded.event_id,
         error = excluded.error, attempts = excluded.attempts, next_retry_at = excluded.next_retry_at`,
      [consumer, tenantId, position, eventId, error.replaceAll('\0', '').slice(0, 4_000), attempts, retryInMs],
    );
  }

  override async remove(consumer: string, tenantId: string): Promise<void> {
    await this.pool.query(`DELETE FROM ${this.table} WHERE consumer = $1 AND tenant_id = $2`, [consumer, tenantId]);
  }
}
