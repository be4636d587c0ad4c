import { Controller } from '@nestjs/common';
import { getOperation } from '@tenantry/contracts/tenant/routes';
import { Handles } from '@tenantry/messaging/handles';
import type { Call, Reply } from '@tenantry/messaging/rpc';
import { Operations } from './operations.js';

@Controller()
export class GetOperationRpc {
  constructor(private readonly operations: Operations) {}

  @Handles(getOperation)
  async handle({ params }: Call<typeof getOperation>): Reply<typeof getOperation> {
    const { view, position } = await this.operations.view(params.operationId);
    return { status: 200, body: view, position };
  }
}
