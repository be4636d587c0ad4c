import { jetstreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import type { Pool } from 'pg';
import { eventStream } from './event-stream.js';
import { schemaName } from './sql.js';

/** Older than most of the stream's duplicate window: from then on the stream can't be trusted to drop what it has already. */
const staleMs = 90_000;

/** How far each log is published: `published(tenant_id, position)`, remembered for the logs that grow. */
export class PublishedPositions {
  readonly table: string;
  private readonly positions = new Map<string, number>();

  constructor(
    private readonly pool: Pool,
    schema: string,
    private readonly nats: NatsConnection,
    private readonly limit = 20_000,
  ) {
    this.table = `${schemaName(schema)}.published`;
  }

  /** -1 for a log of which nothing is published, as far as was learnt. */
  get(tenantId: string): number {
    return this.positions.get(tenantId) ?? -1;
  }
  known(tenantId: string): number | undefined {
    return this.positions.get(tenantId);
  }
  forget(tenantIds: string[]): void {
    for (const tenantId of tenantIds) this.positions.delete(tenantId);
  }
  forgetAll(): void {
    this.positions.clear();
  }

  /**
   * Reads the positions that aren't known. Where a log grew longer ago than the stream remembers message ids, the stream itself is asked
   * for the log's last message: it may have been acknowledged just before a crash, and would be stored a second time.
   */
  async learn(tenantIds: string[]): Promise<void> {
    const unknown = tenantIds.filter((tenantId) => !this.positions.has(tenantId));
    if (unknown.length === 0) return;
    const { rows } = await this.pool.query<{ tenant_id: string; position: string; stale: boolean }>({
      name: `published ${this.table}`,
      text: `SELECT t.tenant_id, coalesce(p.position, -1) AS position,
                    coalesce(e.recorded_at < now() - ${staleMs} * interval '1 ms', false) AS stale
             FROM unnest($1::uuid[]) AS t(tenant_id)
             LEFT JOIN ${this.table} p USING (tenant_id)
             LEFT JOIN log.events e ON e.tenant_id = t.tenant_id AND e.position = coalesce(p.position, -1) + 1`,
      values: [unknown],
    });
    const stale = rows.filter((row) => row.stale);
    const stored = new Map<string, number>();
    for (let at = 0; at < stale.length; at += 64) {
      await Promise.all(stale.slice(at, at + 64).map(async ({ tenant_id }) => stored.set(tenant_id, await this.lastStored(tenant_id))));
    }
    for (const { tenant_id, position } of rows) this.remember(tenant_id, Math.max(Number(position), stored.get(tenant_id) ?? -1));
  }

  async record(reached: Map<string, number>): Promise<void> {
    const rows = [...reached].sort(([a], [b]) => (a < b ? -1 : 1)).map(([tenant_id, position]) => ({ tenant_id, position }));
    await this.pool.query({
      name: `record ${this.table}`,
      text: `INSERT INTO ${this.table} AS p (tenant_id, position)
             SELECT tenant_id, position FROM json_to_recordset($1::json) AS r(tenant_id uuid, position bigint)
             ON CONFLICT (tenant_id) DO UPDATE SET position = excluded.position WHERE p.position < excluded.position`,
      values: [JSON.stringify(rows)],
    });
    for (const [tenantId, position] of reached) this.remember(tenantId, position);
  }

  private async lastStored(tenantId: string): Promise<number> {
    const manager = await jetstreamManager(this.nats, { checkAPI: false });
    const message = await manager.streams.getMessage(eventStream, { last_by_subj: `tenantry.events.${tenantId}.>` });
    return Number(message?.header.get('ce-position') || -1);
  }

  private remember(tenantId: string, position: number): void {
    this.positions.delete(tenantId);
    this.positions.set(tenantId, position);
    if (this.positions.size > this.limit) this.positions.delete(this.positions.keys().next().value as string);
  }
}
