import { Controller } from '@nestjs/common';
import { Clock } from '@tenantry/contracts/clock';
import { withdrawAdmin } from '@tenantry/contracts/identity/operations';
import { derivedId } from '@tenantry/contracts/ids';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { Handles } from '@tenantry/messaging/handles';
import type { Caller } from '@tenantry/messaging/rpc';
import { operationCommand } from '@tenantry/service/operation-command';
import type { z } from 'zod';
import { InvitationTable } from './invitation-table.js';
import { adminMemberId } from './invite-admin.rpc.js';
import { member, removeMember } from './member.js';

@Controller()
export class WithdrawAdminRpc {
  constructor(
    private readonly log: TenantLog,
    private readonly invitations: InvitationTable,
    private readonly clock: Clock,
  ) {}

  @Handles(withdrawAdmin)
  async handle(
    { tenantId, operationId }: z.infer<typeof withdrawAdmin.input>,
    caller: Caller,
  ): Promise<z.infer<typeof withdrawAdmin.output>> {
    const memberId = adminMemberId(tenantId, operationId);
    const stream = `member-${memberId}`;
    const { state } = await this.log.load(member, { tenant: tenantId, stream });
    if (state.status === 'invited') {
      await this.log.transact(
        member,
        {
          tenant: tenantId,
          stream,
          command: operationCommand(derivedId('withdraw-admin', state.invitationId), operationId, caller),
        },
        removeMember({ memberId, reason: 'provisioning_failed', removedAt: this.clock.now() }),
      );
    }
    await this.invitations.remove(tenantId, memberId);
    return {};
  }
}
