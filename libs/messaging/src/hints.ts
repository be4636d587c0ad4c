import type { Pool } from 'pg';
import { schemaName } from './sql.js';

export interface Hint {
  version: string;
  /** Of the placement that it was seen at; 0 in the service's own schema. */
  generation: number;
  /** Everything up to here was looked at. */
  position: number;
}

/** `hints` rows: written after commits, in batches, by this process; what is lost with it the sweep makes good. */
export class Hints {
  private readonly changed = new Map<string, Hint & { consumer: string; tenant_id: string }>();
  private writing: Promise<void> = Promise.resolve();
  private readonly table: string;

  constructor(
    private readonly pool: Pool,
    schema: string,
  ) {
    this.table = `${schemaName(schema)}.hints`;
  }

  note(consumer: string, tenantId: string, hint: Hint): void {
    this.changed.set(`${consumer}:${tenantId}`, { consumer, tenant_id: tenantId, ...hint });
  }

  async read(consumer: string, tenantIds: string[]): Promise<Map<string, Hint>> {
    const { rows } = await this.pool.query<{ tenant_id: string; version: string; generation: number; position: string }>(
      `SELECT tenant_id, version, generation, position FROM ${this.table} WHERE consumer = $1 AND tenant_id = ANY($2::uuid[])`,
      [consumer, tenantIds],
    );
    return new Map(
      rows.map((row) => [row.tenant_id, { version: row.version, generation: row.generation, position: Number(row.position) }]),
    );
  }

  /** One flush at a time. Hints that could not be written are dropped: the sweep finds their tenants again. */
  flush(): Promise<void> {
    this.writing = this.writing.catch(() => undefined).then(() => this.write());
    return this.writing;
  }

  private async write(): Promise<void> {
    if (this.changed.size === 0) return;
    const rows = [...this.changed.values()].sort((a, b) => (a.tenant_id < b.tenant_id ? -1 : 1));
    this.changed.clear();
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
}
