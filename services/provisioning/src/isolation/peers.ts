import { Injectable } from '@nestjs/common';
import { Database } from '@tenantry/service/database';

/** Which tenants can be checked, and who stands for the others. */
@Injectable()
export class Peers {
  constructor(private readonly database: Database) {}

  /** Every tenant with a place. */
  async placed(): Promise<string[]> {
    const { rows } = await this.database.pool.query<{ id: string }>(
      'SELECT tenant_id AS id FROM tenancy.placements WHERE ready ORDER BY tenant_id',
    );
    return rows.map(({ id }) => id);
  }

  /** The next tenant by id that is served and no relative: a reseller may reach its children. Null where there is none. */
  async of(tenantId: string): Promise<string | null> {
    const after = (comparison: '>' | '<') =>
      `(SELECT t.tenant_id FROM provisioning.tenants t JOIN tenancy.placements p ON p.tenant_id = t.tenant_id AND p.ready
        WHERE t.tenant_id ${comparison} $1 AND t.status IN ('active', 'trial') AND t.parent_id IS DISTINCT FROM $1
          AND t.tenant_id IS DISTINCT FROM (SELECT parent_id FROM provisioning.tenants WHERE tenant_id = $1)
        ORDER BY t.tenant_id LIMIT 1)`;
    const { rows } = await this.database.pool.query<{ tenant_id: string }>({
      name: 'isolation-peer',
      text: `SELECT tenant_id FROM (${after('>')} UNION ALL ${after('<')}) found LIMIT 1`,
      values: [tenantId],
    });
    return rows[0]?.tenant_id ?? null;
  }
}
