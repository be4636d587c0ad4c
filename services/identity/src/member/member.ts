import type { Personal } from '@tenantry/contracts/events';
import { type IdentityEvent, identityEvents } from '@tenantry/contracts/identity/events';
import { aggregate } from '@tenantry/event-store/aggregate';

/** `changes` counts the events so far: it tells one invitation of a person from the next. */
export type Member =
  | { status: 'none'; changes: number }
  | { status: 'invited'; changes: number; invitationId: string; email: Personal; sent: boolean }
  | { status: 'removed'; changes: number };

/** Streams `member-<id>`. The address is encrypted with the person's own key. */
export const member = aggregate<Member, typeof identityEvents>({
  stream: 'member',
  events: identityEvents,
  initial: { status: 'none', changes: 0 },
  evolve: (state, event) => {
    const changes = state.changes + 1;
    switch (event.type) {
      case 'MemberInvited':
        return { status: 'invited', changes, invitationId: event.data.invitationId, email: event.data.email, sent: false };
      case 'InvitationSent':
        return state.status === 'invited' && state.invitationId === event.data.invitationId
          ? { ...state, changes, sent: true }
          : { ...state, changes };
      case 'MemberRemoved':
        return { status: 'removed', changes };
      default:
        return state;
    }
  },
});

type Invitation = Extract<IdentityEvent, { type: 'MemberInvited' }>['data'];

/** Who was removed may be invited again; who is invited already stays so, with the invitation that he has. */
export const invite =
  (invitation: Invitation) =>
  (state: Member): IdentityEvent[] =>
    state.status === 'invited' ? [] : [{ type: 'MemberInvited', data: invitation }];

export const recordSent =
  (data: { memberId: string; invitationId: string; simulated: boolean; sentAt: string }) =>
  (state: Member): IdentityEvent[] =>
    isOpen(state, data.invitationId) && !state.sent ? [{ type: 'InvitationSent', data }] : [];

export const removeMember =
  (data: { memberId: string; reason: string; removedAt: string }) =>
  (state: Member): IdentityEvent[] =>
    state.status === 'invited' ? [{ type: 'MemberRemoved', data }] : [];

export const isOpen = (state: Member, invitationId: string): state is Extract<Member, { status: 'invited' }> =>
  state.status === 'invited' && state.invitationId === invitationId;
