import { Controller } from '@nestjs/common';
import { DomainError } from '@tenantry/contracts/errors';
import { rollBackOperation } from '@tenantry/contracts/tenant/routes';
import { Handles } from '@tenantry/messaging/handles';
import type { Call, Reply } from '@tenantry/messaging/rpc';
import { Operations } from './operations.js';

@Controller()
export class RollBackOperationRpc {
  constructor(private readonly operations: Operations) {}

  @Handles(rollBackOperation)
  async handle({ params, body, command }: Call<typeof rollBackOperation>): Reply<typeof rollBackOperation> {
    const { at, kind } = await this.operations.steered(params.operationId, command);
    if (!kind.rollBack)
      throw new DomainError('operation.not_reversible', { detail: `Work of the type ${at.type} can't be taken back once it is done.` });
    await kind.rollBack(at, body?.reason, command);
    return this.operations.accepted(at.id);
  }
}
