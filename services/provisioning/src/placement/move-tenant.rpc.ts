import { Controller } from '@nestjs/common';
import { moveTenant } from '@tenantry/contracts/tenant/routes';
import { Handles } from '@tenantry/messaging/handles';
import type { Call, Reply } from '@tenantry/messaging/rpc';
import { Operations } from '../operation/operations.js';
import { Moves } from './moves.js';

@Controller()
export class MoveTenantRpc {
  constructor(
    private readonly moves: Moves,
    private readonly operations: Operations,
  ) {}

  @Handles(moveTenant)
  async handle({ tenantId, body, command }: Call<typeof moveTenant>): Reply<typeof moveTenant> {
    return this.operations.accepted(await this.moves.begin(tenantId, body, command));
  }
}
