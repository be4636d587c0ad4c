import { Controller } from '@nestjs/common';
import { Clock } from '@tenantry/contracts/clock';
import { DomainError } from '@tenantry/contracts/errors';
import { cancelOperation } from '@tenantry/contracts/tenant/routes';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { Handles } from '@tenantry/messaging/handles';
import type { Call, Reply } from '@tenantry/messaging/rpc';
import { operation, requestCancel } from './operation.js';
import { OperationIndex } from './operation-index.js';
import { Operations } from './operations.js';

/** The saga sees the request before its next step, and undoes what was done. */
@Controller()
export class CancelOperationRpc {
  constructor(
    private readonly log: TenantLog,
    private readonly index: OperationIndex,
    private readonly operations: Operations,
    private readonly clock: Clock,
  ) {}

  @Handles(cancelOperation)
  async handle({ params, body, command }: Call<typeof cancelOperation>): Reply<typeof cancelOperation> {
    const id = params.operationId;
    const { tenantId: tenant, type } = await this.index.find(id);
    if (type === 'rebuild') throw new DomainError('operation.not_cancellable', { detail: 'A rebuild goes on to its end.' });
    await this.log.transact(operation, { tenant, stream: `operation-${id}`, command }, requestCancel(id, body?.reason, this.clock.now()));
    const { view, position } = await this.operations.view(id);
    return { status: 202, body: view, position, location: `/api/v1/platform/operations/${id}` };
  }
}
