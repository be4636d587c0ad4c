import type { Tenants } from '@tenantry/tenancy/tenants';
import type { Pool, PoolClient } from 'pg';
import { type Applied, type Checkpoint, Checkpoints } from './checkpoints.js';
import type { Consumer, OutboxRow } from './consumer.js';
import { CheckpointLocked, ConsumerRows, NoneMoved, RowsTransaction, type Step } from './consumer-rows.js';
import { foldChanges } from './fold.js';
import { outboxStatement } from './outbox.js';
import type { RowChange } from './projection.js';
import { pipelines, runAll, schemaName } from './sql.js';
import { emptying, statementsOf } from './write.js';

/** Rows in the service's own schema: many tenants in one transaction. */
export class PostgresServiceRows extends ConsumerRows {
  private readonly stored: Checkpoints;

  constructor(
    private readonly pool: Pool,
    private readonly schema: string,
    private readonly consumer: Consumer,
  ) {
    super();
    this.stored = new Checkpoints(`${schemaName(schema)}.checkpoints`, consumer.name, consumer.version);
  }

  override checkpoints(tenantIds: string[]): Promise<Map<string, Checkpoint>> {
    return this.stored.read(this.pool, tenantIds);
  }

  override async transaction<T>(_tenantId: string | null, work: (tx: RowsTransaction) => Promise<T>): Promise<T> {
    const client = await this.pool.connect();
    let broken: Error | undefined;
    try {
      // A replica that freezes in here loses its locks after the pool's idle_in_transaction_session_timeout.
      await client.query('BEGIN');
      const result = await work(new PostgresTransaction(client, 0, this.consumer, this.stored, this.schema));
      await client.query('COMMIT');
      return result;
    } catch (error) {
      await client.query('ROLLBACK').catch((second: Error) => {
        broken = second;
      });
      throw error;
    } finally {
      client.release(broken);
    }
  }
}

/** Rows in the tenants' schemas, wherever those are: one transaction per tenant. */
export class PostgresTenantRows extends ConsumerRows {
  private readonly stored: Checkpoints;

  constructor(
    private readonly tenants: Tenants,
    private readonly consumer: Consumer,
  ) {
    super();
    this.stored = new Checkpoints('checkpoints', consumer.name, consumer.version);
  }

  override async checkpoints(tenantIds: string[]): Promise<Map<string, Checkpoint>> {
    const read = await Promise.all(
      tenantIds.map((tenantId) => this.tenants.withTenant(tenantId, ({ client }) => this.stored.read(client, [tenantId]))),
    );
    return new Map(read.flatMap((each) => [...each]));
  }

  override async transaction<T>(tenantId: string | null, work: (tx: RowsTransaction) => Promise<T>): Promise<T> {
    if (tenantId === null) throw new Error(`${this.consumer.name} has its rows in the tenants' schemas`);
    return this.tenants.withTenant(tenantId, ({ client, placement }) =>
      work(new PostgresTransaction(client, placement.generation, this.consumer, this.stored, null)),
    );
  }
}

const lockNotAvailable = '55P03';

class PostgresTransaction extends RowsTransaction {
  constructor(
    private readonly client: PoolClient,
    override readonly generation: number,
    private readonly consumer: Consumer,
    private readonly stored: Checkpoints,
    /** Where the outbox is; null in a tenant's schema, which has none. */
    private readonly outbox: string | null,
  ) {
    super();
  }

  override async lock(tenantId: string): Promise<Checkpoint | null> {
    try {
      return (await this.stored.read(this.client, [tenantId], { lock: true })).get(tenantId) ?? null;
    } catch (error) {
      if ((error as { code?: unknown }).code === lockNotAvailable) throw new CheckpointLocked();
      throw error;
    }
  }

  override async advance(steps: Step[]): Promise<Set<string>> {
    const [only] = steps;
    if (steps.length === 1 && only) return this.advanceOne(only);
    const moved = await this.stored.advance(this.client, steps);
    if (moved.size === 0) throw new NoneMoved();
    const mine = steps.filter(({ tenantId }) => moved.has(tenantId));
    await runAll(this.client, this.statements(mine));
    return moved;
  }

  /** Where the connection pipelines, the rows go along with the checkpoint; if that hasn't moved, all is rolled back. */
  private async advanceOne(step: Step): Promise<Set<string>> {
    const statements = this.statements([step]);
    const together = pipelines(this.client) ? statements : [];
    const [advanced] = await runAll(this.client, [this.stored.advanceOne(step), ...together]);
    if (advanced?.rowCount !== 1) throw new NoneMoved();
    if (together !== statements) await runAll(this.client, statements);
    return new Set([step.tenantId]);
  }

  override async empty(tenantId: string): Promise<void> {
    await runAll(
      this.client,
      this.consumer.tables.flatMap((table) => emptying(table, tenantId) ?? []),
    );
  }

  override async write(changes: RowChange[], effects: OutboxRow[]): Promise<void> {
    await runAll(this.client, this.statements([{ changes, effects }]));
  }

  override async reset(tenantId: string, to: Applied | null): Promise<void> {
    await this.stored.reset(this.client, tenantId, to);
  }

  /** One per table and kind. */
  private statements(steps: Pick<Step, 'changes' | 'effects'>[]) {
    const effects = steps.flatMap((step) => step.effects);
    if (effects.length > 0 && this.outbox === null)
      throw new Error(`${this.consumer.name} has no outbox: process managers have none of their rows in a tenant's schema`);
    return [
      ...statementsOf(foldChanges(steps.flatMap((step) => step.changes))),
      ...(effects.length > 0 && this.outbox !== null ? [outboxStatement(this.outbox, effects)] : []),
    ];
  }
}
