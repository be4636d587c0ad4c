import type { Pool } from 'pg';
import { schemaName } from './sql.js';

export interface Reservation {
  kind: string;
  name: string;
  tenantId: string;
  /** The claimant's stream. */
  claim: string;
  expiresAt: string;
}

/**
 * Names that are unique over all tenants. Reserve, append the claim, confirm. An expired reservation that was never confirmed still
 * holds its name: its owner first appends an abandonment event on the claimant's stream (so that a late claim fails its expected version),
 * then releases it.
 */
export class Reservations {
  private readonly table: string;
  constructor(
    private readonly pool: Pool,
    schema: string,
  ) {
    this.table = `${schemaName(schema)}.reservations`;
  }

  /** Again by the same tenant: it is reserved, and expires later. */
  async reserve(
    kind: string,
    name: string,
    { tenantId, claim, ttlMs }: { tenantId: string; claim: string; ttlMs: number },
  ): Promise<'reserved' | { takenBy: string }> {
    for (;;) {
      const reserved = await this.pool.query({
        name: `reserve ${this.table}`,
        text: `INSERT INTO ${this.table} AS t (kind, name, tenant_id, claim, expires_at) VALUES ($1, $2, $3, $4, now() + $5 * interval '1 ms')
               ON CONFLICT (kind, name) DO UPDATE SET expires_at = greatest(t.expires_at, excluded.expires_at)
               WHERE t.tenant_id = excluded.tenant_id RETURNING 1`,
        values: [kind, name, tenantId, claim, ttlMs],
      });
      if (reserved.rowCount === 1) return 'reserved';
      const holder = await this.pool.query<{ tenant_id: string }>(`SELECT tenant_id FROM ${this.table} WHERE kind = $1 AND name = $2`, [
        kind,
        name,
      ]);
      const takenBy = holder.rows[0]?.tenant_id;
      // Released in between: once more.
      if (takenBy !== undefined) return { takenBy };
    }
  }

  /** @returns false where the tenant doesn't hold the name */
  async confirm(kind: string, name: string, tenantId: string): Promise<boolean> {
    const confirmed = await this.pool.query(
      `UPDATE ${this.table} SET confirmed_at = coalesce(confirmed_at, now()) WHERE kind = $1 AND name = $2 AND tenant_id = $3`,
      [kind, name, tenantId],
    );
    return confirmed.rowCount === 1;
  }

  /** Confirmed or not. @returns false where the tenant didn't hold the name */
  async release(kind: string, name: string, tenantId: string): Promise<boolean> {
    const released = await this.pool.query(`DELETE FROM ${this.table} WHERE kind = $1 AND name = $2 AND tenant_id = $3`, [
      kind,
      name,
      tenantId,
    ]);
    return released.rowCount === 1;
  }

  /** Only while it is expired and unconfirmed: one that was renewed since stays. @returns false where nothing was released */
  async releaseExpired(kind: string, name: string, tenantId: string): Promise<boolean> {
    const released = await this.pool.query(
      `DELETE FROM ${this.table} WHERE kind = $1 AND name = $2 AND tenant_id = $3 AND confirmed_at IS NULL AND expires_at < now()`,
      [kind, name, tenantId],
    );
    return released.rowCount === 1;
  }

  /** Expired and never confirmed, the oldest first. */
  async expired(limit: number): Promise<Reservation[]> {
    const { rows } = await this.pool.query<{ kind: string; name: string; tenant_id: string; claim: string; expires_at: Date }>(
      `SELECT kind, name, tenant_id, claim, expires_at FROM ${this.table}
       WHERE confirmed_at IS NULL AND expires_at < now() ORDER BY expires_at LIMIT $1`,
      [limit],
    );
    return rows.map((row) => ({
      kind: row.kind,
      name: row.name,
      tenantId: row.tenant_id,
      claim: row.claim,
      expiresAt: row.expires_at.toISOString(),
    }));
  }
}
