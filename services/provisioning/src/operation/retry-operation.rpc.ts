import { Controller } from '@nestjs/common';
import { DomainError } from '@tenantry/contracts/errors';
import { retryOperation } from '@tenantry/contracts/tenant/routes';
import { Handles } from '@tenantry/messaging/handles';
import type { Call, Reply } from '@tenantry/messaging/rpc';
import { TenantRetry } from '../tenant/tenant-retry.js';
import { OperationIndex } from './operation-index.js';
import { Operations } from './operations.js';

/** What was undone begins again as a new operation, which the answer names. */
@Controller()
export class RetryOperationRpc {
  constructor(
    private readonly operations: Operations,
    private readonly index: OperationIndex,
    private readonly retries: TenantRetry,
  ) {}

  @Handles(retryOperation)
  async handle({ params, body, command }: Call<typeof retryOperation>): Reply<typeof retryOperation> {
    const { tenantId, type } = await this.index.find(params.operationId);
    if (type === 'rebuild') throw new DomainError('operation.not_retriable', { detail: 'Ask for another rebuild.' });
    const before = await this.operations.view(params.operationId);
    if (before.view.status !== 'compensated' && before.view.status !== 'cancelled')
      throw new DomainError('operation.not_retriable', {
        detail: `The operation is ${before.view.status}; only one that was undone can be retried.`,
      });
    const { state } = await this.retries.retry(tenantId, body?.reason, command);
    const { view, position } = await this.operations.view(state.operationId);
    return { status: 202, body: view, position, location: `/api/v1/platform/operations/${state.operationId}` };
  }
}
