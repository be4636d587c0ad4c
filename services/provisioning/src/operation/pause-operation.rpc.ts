import { Controller } from '@nestjs/common';
import { DomainError } from '@tenantry/contracts/errors';
import { pauseOperation, resumeOperation } from '@tenantry/contracts/tenant/routes';
import { Handles } from '@tenantry/messaging/handles';
import type { Call, Reply } from '@tenantry/messaging/rpc';
import { Operations } from './operations.js';

@Controller()
export class PauseOperationRpc {
  constructor(private readonly operations: Operations) {}

  @Handles(pauseOperation)
  async pause({ params, body, command }: Call<typeof pauseOperation>): Reply<typeof pauseOperation> {
    const { at, kind } = await this.operations.steered(params.operationId, command);
    if (!kind.pause)
      throw new DomainError('operation.not_pausable', {
        detail: `Only work over many tenants can be paused; this is of the type ${at.type}.`,
      });
    await kind.pause(at, body?.reason, command);
    return this.operations.accepted(at.id);
  }

  @Handles(resumeOperation)
  async resume({ params, body, command }: Call<typeof resumeOperation>): Reply<typeof resumeOperation> {
    const { at, kind } = await this.operations.steered(params.operationId, command);
    if (!kind.resume)
      throw new DomainError('operation.not_resumable', {
        detail: `Only work over many tenants can be paused; this is of the type ${at.type}.`,
      });
    await kind.resume(at, body?.reason, command);
    return this.operations.accepted(at.id);
  }
}
