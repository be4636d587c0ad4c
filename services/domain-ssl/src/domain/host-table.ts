import type { Pool } from 'pg';

/** Host → tenant, for everything that routes by host name: active hosts only. */
export class HostTable {
  constructor(private readonly pool: Pool) {}

  async resolve(host: string): Promise<string | null> {
    const { rows } = await this.pool.query<{ tenant_id: string }>('SELECT tenant_id FROM domain_ssl.hosts WHERE host = $1', [host]);
    return rows[0]?.tenant_id ?? null;
  }

  async put(row: { host: string; tenantId: string; domainId: string; claimedAt: string }): Promise<void> {
    await this.pool.query(
      `INSERT INTO domain_ssl.hosts (host, tenant_id, domain_id, claimed_at) VALUES ($1, $2, $3, $4)
       ON CONFLICT (host) DO UPDATE SET tenant_id = $2, domain_id = $3, claimed_at = $4`,
      [row.host, row.tenantId, row.domainId, row.claimedAt],
    );
  }

  async remove(host: string, tenantId: string): Promise<void> {
    await this.pool.query('DELETE FROM domain_ssl.hosts WHERE host = $1 AND tenant_id = $2', [host, tenantId]);
  }
}
