import { effect, processManager } from '@tenantry/messaging/projection';
import type { SendInvitation } from './send-invitation.effect.js';

/** An invitation goes out by mail. */
export const invitations = processManager({
  name: 'invitations',
  on: {
    MemberInvited: ({ data: { memberId, invitationId, tenantName, expiresAt }, metadata: { correlationId, traceparent } }) =>
      effect('send-invitation', {
        memberId,
        invitationId,
        tenantName,
        expiresAt,
        correlationId,
        traceparent,
      } satisfies SendInvitation),
  },
});
