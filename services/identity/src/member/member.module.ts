import { Module } from '@nestjs/common';
import { provide } from '@tenantry/messaging/provide';
import { Database } from '@tenantry/service/database';
import { MailModule } from '../mail/mail.module.js';
import { InvitationTable } from './invitation-table.js';
import { invitations } from './invitations.process.js';
import { InviteAdminRpc } from './invite-admin.rpc.js';
import { ListMembersRpc } from './list-members.rpc.js';
import { members } from './members.projection.js';
import { SendInvitationEffect } from './send-invitation.effect.js';
import { WithdrawAdminRpc } from './withdraw-admin.rpc.js';

@Module({
  imports: [MailModule],
  controllers: [InviteAdminRpc, WithdrawAdminRpc, ListMembersRpc],
  providers: [
    { provide: InvitationTable, inject: [Database], useFactory: ({ pool }: Database) => new InvitationTable(pool) },
    SendInvitationEffect,
    provide(invitations),
    provide(members),
  ],
})
export class MemberModule {}
