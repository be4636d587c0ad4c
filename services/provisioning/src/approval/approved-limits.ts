import { Injectable } from '@nestjs/common';
import type { ApprovableCommand } from '@tenantry/contracts/config/approval-routes';
import type { Actor } from '@tenantry/contracts/events';
import { overrideLimits } from '@tenantry/contracts/quota/limit-routes';
import type { Limits } from '@tenantry/contracts/quota/limits';
import type { CommandContext } from '@tenantry/contracts/route';
import { RpcClient } from '@tenantry/messaging/rpc';
import { ApprovedCommand } from './approved-command.js';

/** Limits of a tenant once others have approved them: their owner sets them. */
@Injectable()
export class ApprovedLimits extends ApprovedCommand {
  override readonly commands = ['limits'] as const;

  constructor(private readonly rpc: RpcClient) {
    super();
  }

  override async run(tenantId: string, _command: ApprovableCommand, body: unknown, context: CommandContext): Promise<void> {
    const { limits } = body as { limits: Limits };
    const { id, ifMatch, correlationId, principal } = context;
    const actor = { kind: principal.kind, id: principal.id } as Actor;
    await this.rpc.call(overrideLimits, { tenantId, limits, command: { id, ifMatch, correlationId, actor } });
  }
}
