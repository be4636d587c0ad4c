import { Controller } from '@nestjs/common';
import { DomainError } from '@tenantry/contracts/errors';
import { cancelOperation } from '@tenantry/contracts/tenant/routes';
import { Handles } from '@tenantry/messaging/handles';
import type { Call, Reply } from '@tenantry/messaging/rpc';
import { Operations } from './operations.js';

@Controller()
export class CancelOperationRpc {
  constructor(private readonly operations: Operations) {}

  @Handles(cancelOperation)
  async handle({ params, body, command }: Call<typeof cancelOperation>): Reply<typeof cancelOperation> {
    const { at, kind } = await this.operations.steered(params.operationId, command);
    if (!kind.cancel) throw new DomainError('operation.not_cancellable', { detail: `Work of the type ${at.type} goes on to its end.` });
    await kind.cancel(at, body?.reason, command);
    return this.operations.accepted(at.id);
  }
}
