import type { Pool } from 'pg';

/** A log whose head a consumer hasn't looked at, as far as is written down. */
export interface Behind {
  tenantId: string;
  head: number;
  /** It is placed elsewhere than when it was looked at. */
  moved?: boolean;
}

const pageSize = 2_000;

/**
 * The safety net under lost wake-ups: joins the heads with what was written down of each one's progress.
 * A position beyond the head is found as well: that is a log that was restored.
 */
export class Sweep {
  /** @param progressTable has (tenant_id, position) @param condition further restricts its rows; `$1` and `$2` are `values` @param generation where the table has the placement's; 0 is none */
  constructor(
    private readonly pool: Pool,
    private readonly progressTable: string,
    private readonly condition: string,
    private readonly values: [string, string] | [],
    private readonly generation: string | null = null,
  ) {}

  /** Pages of logs that are behind. @param withinMs only logs that grew in that time; all of them where it is undefined */
  async *behind(withinMs?: number): AsyncGenerator<Behind[]> {
    const moved = this.generation === null ? 'false' : `coalesce(${this.generation} > 0 AND ${this.generation} <> l.generation, false)`;
    let after = '00000000-0000-0000-0000-000000000000';
    for (let first = true; ; first = false) {
      const n = this.values.length;
      const { rows } = await this.pool.query<{ tenant_id: string; position: string; moved: boolean }>(
        `SELECT h.tenant_id, h.position, ${moved} AS moved FROM log.heads h
         LEFT JOIN ${this.progressTable} p ON p.tenant_id = h.tenant_id ${this.condition}
         ${this.generation === null ? '' : 'LEFT JOIN tenancy.placements l ON l.tenant_id = h.tenant_id'}
         WHERE h.tenant_id ${first ? '>=' : '>'} $${n + 1} AND (coalesce(p.position, -1) <> h.position OR ${moved})
         ${this.generation === null ? '' : 'AND NOT EXISTS (SELECT FROM tenancy.erased g WHERE g.tenant_id = h.tenant_id)'}
         ${withinMs === undefined ? '' : `AND h.recorded_at > now() - ${Math.round(withinMs)} * interval '1 ms'`}
         ORDER BY h.tenant_id LIMIT ${pageSize}`,
        [...this.values, after],
      );
      if (rows.length > 0) yield rows.map((row) => ({ tenantId: row.tenant_id, head: Number(row.position), moved: row.moved }));
      if (rows.length < pageSize) return;
      after = rows.at(-1)?.tenant_id as string;
    }
  }
}
