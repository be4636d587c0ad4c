import { Controller } from '@nestjs/common';
import { Clock } from '@tenantry/contracts/clock';
import { inviteAdmin } from '@tenantry/contracts/identity/operations';
import { derivedId } from '@tenantry/contracts/ids';
import { Keyring } from '@tenantry/crypto/keyring';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { Handles } from '@tenantry/messaging/handles';
import type { Caller } from '@tenantry/messaging/rpc';
import { faultPoint } from '@tenantry/observability/fault';
import { operationCommand } from '@tenantry/service/operation-command';
import type { z } from 'zod';
import { InvitationTable } from './invitation-table.js';
import { invite, member } from './member.js';

const VALID_MS = 7 * 24 * 3_600_000;

/** The first owner of a tenant is one person per provisioning, however often it is tried. */
export const adminMemberId = (tenantId: string, operationId: string): string => derivedId('admin-member', tenantId, operationId);

@Controller()
export class InviteAdminRpc {
  constructor(
    private readonly log: TenantLog,
    private readonly keyring: Keyring,
    private readonly invitations: InvitationTable,
    private readonly clock: Clock,
  ) {}

  @Handles(inviteAdmin)
  async handle(input: z.infer<typeof inviteAdmin.input>, caller: Caller): Promise<z.infer<typeof inviteAdmin.output>> {
    const { tenantId, operationId, tenantName, host } = input;
    const memberId = adminMemberId(tenantId, operationId);
    const stream = `member-${memberId}`;
    const [{ state: before }] = await Promise.all([
      this.log.load(member, { tenant: tenantId, stream }),
      // One fetch for all that follows.
      this.keyring.keys(tenantId, ['contacts', 'index', stream]),
    ]);
    if (before.status === 'invited') return { memberId, invitationId: before.invitationId };

    const email = await this.keyring.reveal<string>(tenantId, input.email);
    // Withdrawn and tried again: another invitation, by another command.
    const invitationId = derivedId('invitation', memberId, before.changes);
    const expiresAt = new Date(this.clock.nowMs() + VALID_MS).toISOString();
    await this.invitations.insert({ invitationId, tenantId, memberId, host, expiresAt });
    await faultPoint('invite.done');
    const { state } = await this.log.transact(
      member,
      {
        tenant: tenantId,
        stream,
        command: operationCommand(derivedId('invite-admin', invitationId), operationId, caller),
      },
      invite({
        memberId,
        email,
        emailIndex: await this.keyring.hmac(tenantId, 'email', email.toLowerCase()),
        role: 'owner',
        invitationId,
        tenantName,
        expiresAt,
        invitedAt: this.clock.now(),
      }),
    );
    await faultPoint('invite.recorded');
    return { memberId, invitationId: state.status === 'invited' ? state.invitationId : invitationId };
  }
}
