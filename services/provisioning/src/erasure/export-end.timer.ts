import { Injectable } from '@nestjs/common';
import { destroyExportKey } from '@tenantry/contracts/identity/operations';
import { EXPORT_END } from '@tenantry/contracts/stores/stores';
import { type DueTimer, TimerHandler } from '@tenantry/messaging/effects';
import { RpcClient } from '@tenantry/messaging/rpc';
import type { ExportEndPayload } from './erase-tenant.operation.js';
import { exportKeySubject, TenantExport } from './tenant-export.js';

/** The key first: from then on every copy of the files is worth nothing. */
@Injectable()
export class ExportEnd extends TimerHandler<ExportEndPayload> {
  readonly purpose = EXPORT_END;
  constructor(
    private readonly rpc: RpcClient,
    private readonly exports: TenantExport,
  ) {
    super();
  }
  async fire({ tenantId, payload: { operationId } }: DueTimer<ExportEndPayload>): Promise<void> {
    await this.rpc.call(destroyExportKey, { subject: exportKeySubject(operationId) });
    await this.exports.remove(tenantId, operationId);
  }
}
