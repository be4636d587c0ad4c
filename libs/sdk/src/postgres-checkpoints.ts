import { type Chain, type Checkpoint, CheckpointMoved, Checkpoints } from './checkpoints.js';

/** What is needed of `pg`: a pool of it, or anything with the same two methods. */
export interface PgPool<Client extends PgClient = PgClient> {
  connect(): Promise<Client>;
  query(text: string, values?: unknown[]): Promise<{ rows: any[] }>;
}
export interface PgClient {
  query(text: string, values?: unknown[]): Promise<{ rows: any[]; rowCount?: number | null }>;
  release(error?: Error | boolean): void;
}

/**
 * Checkpoints in the subscriber's own PostgreSQL. The handler gets a client inside the transaction that moves the checkpoint: what it
 * writes with it takes effect exactly once, also with several processes of the same subscriber.
 */
export class PostgresCheckpoints<Client extends PgClient> extends Checkpoints<Client> {
  private readonly table: string;

  /** @param table with its schema where it needs one; made by `createTable` */
  constructor(
    private readonly pool: PgPool<Client>,
    table = 'tenantry_checkpoints',
  ) {
    super();
    this.table = table
      .split('.')
      .map((part) => `"${part.replaceAll('"', '""')}"`)
      .join('.');
  }

  /** Makes the table where it isn't there. */
  async createTable(): Promise<void> {
    await this.pool.query(
      `CREATE TABLE IF NOT EXISTS ${this.table} (
         subscription text NOT NULL, tenant_id uuid NOT NULL, context text NOT NULL,
         position bigint NOT NULL, event_id uuid,
         PRIMARY KEY (subscription, tenant_id, context))`,
    );
  }

  override async load({ subscription, tenantId, context }: Chain): Promise<Checkpoint | null> {
    const text = `SELECT position, event_id FROM ${this.table} WHERE subscription = $1 AND tenant_id = $2 AND context = $3`;
    const { rows } = await this.pool.query(text, [subscription, tenantId, context]);
    return rows[0] ? checkpointOf(rows[0]) : null;
  }

  override async tenants(subscription: string): Promise<string[]> {
    const { rows } = await this.pool.query(`SELECT DISTINCT tenant_id FROM ${this.table} WHERE subscription = $1`, [subscription]);
    return rows.map((row) => row.tenant_id as string);
  }

  override async move(
    { subscription, tenantId, context }: Chain,
    from: Checkpoint | null | undefined,
    to: Checkpoint,
    work: (transaction: Client) => Promise<void>,
  ): Promise<void> {
    const key = [subscription, tenantId, context];
    const client = await this.pool.connect();
    let broken: Error | undefined;
    try {
      await client.query('BEGIN');
      // Of a chain without a row the first one to insert it goes on; the others wait here, and find it moved.
      const inserted = await client.query(
        `INSERT INTO ${this.table} (subscription, tenant_id, context, position) VALUES ($1, $2, $3, -1) ON CONFLICT DO NOTHING`,
        key,
      );
      const { rows } = await client.query(
        `SELECT position, event_id FROM ${this.table} WHERE subscription = $1 AND tenant_id = $2 AND context = $3 FOR UPDATE`,
        key,
      );
      const is = inserted.rowCount === 1 ? null : checkpointOf(rows[0]);
      if (from !== undefined && (is?.position !== from?.position || (is?.eventId ?? null) !== (from?.eventId ?? null)))
        throw new CheckpointMoved(`The checkpoint is at ${is?.position ?? 'no position'}, not at ${from?.position ?? 'none'}`);
      await work(client);
      await client.query(
        `UPDATE ${this.table} SET position = $4, event_id = $5 WHERE subscription = $1 AND tenant_id = $2 AND context = $3`,
        [...key, to.position, to.eventId],
      );
      await client.query('COMMIT');
    } catch (error) {
      await client.query('ROLLBACK').catch((failure: Error) => {
        broken = failure;
      });
      throw error;
    } finally {
      client.release(broken);
    }
  }
}

const checkpointOf = ({ position, event_id }: { position: string | number; event_id: string | null }): Checkpoint => ({
  position: Number(position),
  eventId: event_id,
});
