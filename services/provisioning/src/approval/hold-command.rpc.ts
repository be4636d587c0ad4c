import { Controller } from '@nestjs/common';
import { approvalImpacts, holdCommand } from '@tenantry/contracts/config/approval-operations';
import { Handles } from '@tenantry/messaging/handles';
import type { z } from 'zod';
import { changeOf } from '../config/change.js';
import { Holding, impactOf } from './holding.js';

/** For the services whose commands policies speak of as well. */
@Controller()
export class HoldCommandRpc {
  constructor(private readonly holding: Holding) {}

  @Handles(holdCommand)
  async hold({
    tenantId,
    command,
    body,
    version,
    request,
  }: z.infer<typeof holdCommand.input>): Promise<z.infer<typeof holdCommand.output>> {
    return { held: await this.holding.holdCommand(tenantId, command, body, request, version) };
  }

  @Handles(approvalImpacts)
  async impacts({ command }: z.infer<typeof approvalImpacts.input>): Promise<z.infer<typeof approvalImpacts.output>> {
    const demand = await this.holding.demand(changeOf([], []), command);
    return { impacts: demand ? [impactOf(demand)] : [] };
  }
}
