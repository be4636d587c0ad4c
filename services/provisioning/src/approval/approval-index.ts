import { Injectable } from '@nestjs/common';
import { DomainError } from '@tenantry/contracts/errors';
import { Database } from '@tenantry/service/database';

/** In whose log an approval is. Written before its first event, never changed. */
@Injectable()
export class ApprovalIndex {
  constructor(private readonly database: Database) {}

  async add(approvalId: string, tenantId: string): Promise<void> {
    await this.database.pool.query({
      name: 'approval-add',
      text: 'INSERT INTO provisioning.approval_index (approval_id, tenant_id) VALUES ($1, $2) ON CONFLICT DO NOTHING',
      values: [approvalId, tenantId],
    });
  }

  /** @throws DomainError `approval.not_found` */
  async tenantOf(approvalId: string): Promise<string> {
    const { rows } = await this.database.pool.query({
      name: 'approval-find',
      text: 'SELECT tenant_id FROM provisioning.approval_index WHERE approval_id = $1',
      values: [approvalId],
    });
    if (!rows[0]) throw new DomainError('approval.not_found');
    return rows[0].tenant_id;
  }
}
