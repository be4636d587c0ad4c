import { Injectable } from '@nestjs/common';
import { Clock } from '@tenantry/contracts/clock';
import { derivedId } from '@tenantry/contracts/ids';
import { Keyring } from '@tenantry/crypto/keyring';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { type Effect, EffectHandler } from '@tenantry/messaging/effects';
import { Mailer } from '../mail/mailer.js';
import { invitationMail } from './invitation-mail.js';
import { InvitationTable } from './invitation-table.js';
import { isOpen, member, recordSent } from './member.js';

export interface SendInvitation {
  memberId: string;
  invitationId: string;
  tenantName: string;
  expiresAt: string;
  /** What the invitation was part of. */
  correlationId?: string;
  traceparent?: string;
}

@Injectable()
export class SendInvitationEffect extends EffectHandler<SendInvitation> {
  override readonly effect = 'send-invitation';

  constructor(
    private readonly log: TenantLog,
    private readonly keyring: Keyring,
    private readonly invitations: InvitationTable,
    private readonly mailer: Mailer,
    private readonly clock: Clock,
  ) {
    super();
  }

  override async run({ id, tenantId, causationId, payload }: Effect<SendInvitation>): Promise<void> {
    const { memberId, invitationId, tenantName, expiresAt, correlationId, traceparent } = payload;
    const stream = `member-${memberId}`;
    const { state } = await this.log.load(member, { tenant: tenantId, stream });
    // Withdrawn meanwhile, or sent already and only the effect's outcome was lost.
    if (!isOpen(state, invitationId) || state.sent) return;

    await this.keyring.keys(tenantId, ['index', stream]);
    const [to, token] = await Promise.all([
      this.keyring.reveal<string>(tenantId, state.email),
      // Nobody without the tenant's key can guess it, and every attempt sends the same link.
      this.keyring.hmac(tenantId, 'invitation-token', invitationId),
    ]);
    const open = await this.invitations.open(invitationId, token);
    if (!open) return;
    await this.mailer.send({ id, tenantId, kind: 'invitation', to, ...invitationMail({ tenantName, host: open.host, token, expiresAt }) });
    await this.log.transact(
      member,
      {
        tenant: tenantId,
        stream,
        command: {
          ...{ id: derivedId('invitation-sent', id), actor: { kind: 'service', id: 'identity' } },
          ...{ causationId, correlationId, traceparent },
        },
      },
      recordSent({ memberId, invitationId, simulated: this.mailer.simulated, sentAt: this.clock.now() }),
    );
  }
}
