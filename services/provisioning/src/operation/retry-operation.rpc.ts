import { Controller } from '@nestjs/common';
import { DomainError } from '@tenantry/contracts/errors';
import { retryOperation } from '@tenantry/contracts/tenant/routes';
import { Handles } from '@tenantry/messaging/handles';
import type { Call, Reply } from '@tenantry/messaging/rpc';
import { Operations } from './operations.js';

/** The answer names the operation that goes on: the same, or a new one. */
@Controller()
export class RetryOperationRpc {
  constructor(private readonly operations: Operations) {}

  @Handles(retryOperation)
  async handle({ params, body, command }: Call<typeof retryOperation>): Reply<typeof retryOperation> {
    const { at, kind } = await this.operations.steered(params.operationId, command);
    if (!kind.retry)
      throw new DomainError('operation.not_retriable', { detail: `Work of the type ${at.type} is asked for again instead.` });
    return this.operations.accepted(await kind.retry(at, body?.reason, command));
  }
}
