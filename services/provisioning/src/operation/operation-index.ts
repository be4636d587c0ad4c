import { Injectable } from '@nestjs/common';
import { DomainError } from '@tenantry/contracts/errors';
import { Database } from '@tenantry/service/database';

/** In which tenant's log an operation is. Written before its first event, never changed. */
@Injectable()
export class OperationIndex {
  constructor(private readonly database: Database) {}

  async add(operationId: string, tenantId: string, type: string): Promise<void> {
    await this.database.pool.query({
      name: 'operation-add',
      text: 'INSERT INTO provisioning.operations (operation_id, tenant_id, type) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING',
      values: [operationId, tenantId, type],
    });
  }

  /** @throws DomainError `operation.not_found` */
  async find(operationId: string): Promise<{ tenantId: string; type: string }> {
    const { rows } = await this.database.pool.query({
      name: 'operation-find',
      text: 'SELECT tenant_id, type FROM provisioning.operations WHERE operation_id = $1',
      values: [operationId],
    });
    if (!rows[0]) throw new DomainError('operation.not_found');
    return { tenantId: rows[0].tenant_id, type: rows[0].type };
  }

  async askedAt(operationId: string): Promise<string> {
    const { rows } = await this.database.pool.query<{ created_at: Date }>({
      name: 'operation-asked-at',
      text: 'SELECT created_at FROM provisioning.operations WHERE operation_id = $1',
      values: [operationId],
    });
    if (!rows[0]) throw new DomainError('operation.not_found');
    return rows[0].created_at.toISOString();
  }
}
