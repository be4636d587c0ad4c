import type { ClientBase, QueryConfig } from 'pg';

/** The last event that a consumer has applied of one log. */
export interface Applied {
  position: number;
  eventId: string;
}
export interface Checkpoint extends Applied {
  version: string;
}
/** Moving one tenant's checkpoint: from what the mover believes it to be (null: none yet) to the last event of its batch. */
export interface Advance {
  tenantId: string;
  from: Applied | null;
  to: Applied;
}

/** One consumer's checkpoints: in the service's schema (`<schema>.checkpoints`) or in a tenant's (`checkpoints`); both have the same columns. */
export class Checkpoints {
  constructor(
    private readonly table: string,
    readonly consumer: string,
    readonly version: string,
  ) {}

  /**
   * Moves and so locks the rows, before anything else is written. Gives the tenants whose row was where the mover believed;
   * the others are locked by another replica, moved on, or of another version.
   */
  async advance(client: ClientBase, moves: Advance[]): Promise<Set<string>> {
    const given = moves.map(({ tenantId, from, to }) => ({
      tenant_id: tenantId,
      from_position: from?.position ?? null,
      from_event: from?.eventId ?? null,
      position: to.position,
      event_id: to.eventId,
    }));
    const { rows } = await client.query<{ tenant_id: string }>({
      name: `advance ${this.table}`,
      text: `
        WITH given AS (
          SELECT * FROM json_to_recordset($1::json) AS g(tenant_id uuid, from_position bigint, from_event uuid, position bigint, event_id uuid)),
        locked AS (
          SELECT c.tenant_id FROM ${this.table} c JOIN given g USING (tenant_id)
          WHERE c.consumer = $2 AND c.version = $3 AND c.position = g.from_position AND c.event_id = g.from_event
          ORDER BY c.tenant_id FOR UPDATE OF c SKIP LOCKED),
        moved AS (
          UPDATE ${this.table} c SET position = g.position, event_id = g.event_id
          FROM given g JOIN locked l USING (tenant_id) WHERE c.consumer = $2 AND c.tenant_id = g.tenant_id RETURNING c.tenant_id),
        begun AS (
          INSERT INTO ${this.table} (consumer, tenant_id, version, position, event_id)
          SELECT $2, tenant_id, $3, position, event_id FROM given WHERE from_position IS NULL ORDER BY tenant_id
          ON CONFLICT DO NOTHING RETURNING tenant_id)
        SELECT tenant_id FROM moved UNION ALL SELECT tenant_id FROM begun`,
      values: [JSON.stringify(given), this.consumer, this.version],
    });
    return new Set(rows.map((row) => row.tenant_id));
  }

  /** The same for one row, as a statement to be pipelined; it has moved when `rowCount` is 1. */
  advanceOne({ tenantId, from, to }: Advance): QueryConfig {
    return from === null
      ? {
          text: `INSERT INTO ${this.table} (consumer, tenant_id, version, position, event_id) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING`,
          values: [this.consumer, tenantId, this.version, to.position, to.eventId],
        }
      : {
          text: `UPDATE ${this.table} c SET position = $4, event_id = $5
                 FROM (SELECT consumer, tenant_id FROM ${this.table}
                       WHERE consumer = $1 AND tenant_id = $2 AND version = $3 AND position = $6 AND event_id = $7
                       FOR UPDATE SKIP LOCKED) l
                 WHERE c.consumer = l.consumer AND c.tenant_id = l.tenant_id`,
          values: [this.consumer, tenantId, this.version, to.position, to.eventId, from.position, from.eventId],
        };
  }

  async read(client: Pick<ClientBase, 'query'>, tenantIds: string[], { lock = false } = {}): Promise<Map<string, Checkpoint>> {
    const { rows } = await client.query<{ tenant_id: string; position: string; event_id: string; version: string }>(
      `SELECT tenant_id, position, event_id, version FROM ${this.table}
       WHERE consumer = $1 AND tenant_id = ANY($2::uuid[])${lock ? ' ORDER BY tenant_id FOR UPDATE NOWAIT' : ''}`,
      [this.consumer, tenantIds],
    );
    return new Map(rows.map((row) => [row.tenant_id, { position: Number(row.position), eventId: row.event_id, version: row.version }]));
  }

  /** After a rebuild, whose transaction has locked the row: where it ended, null for no event at all. */
  async reset(client: ClientBase, tenantId: string, to: Applied | null): Promise<void> {
    if (to === null) {
      await client.query(`DELETE FROM ${this.table} WHERE consumer = $1 AND tenant_id = $2`, [this.consumer, tenantId]);
      return;
    }
    await client.query(
      `INSERT INTO ${this.table} (consumer, tenant_id, version, position, event_id) VALUES ($1, $2, $3, $4, $5)
       ON CONFLICT (consumer, tenant_id) DO UPDATE SET version = excluded.version, position = excluded.position, event_id = excluded.event_id`,
      [this.consumer, tenantId, this.version, to.position, to.eventId],
    );
  }
}
