import type { IdentityEvent } from '@tenantry/contracts/identity/events';
import { describe, expect, it } from 'vitest';
import { invitationMail } from './invitation-mail.js';
import { invite, type Member, member, recordSent, removeMember } from './member.js';

const invitation = {
  memberId: 'm',
  email: 'ada@example.com',
  emailIndex: 'f00',
  role: 'owner' as const,
  invitationId: 'i',
  tenantName: 'Acme',
  expiresAt: '2026-01-08T00:00:00.000Z',
  invitedAt: '2026-01-01T00:00:00.000Z',
};
const invited: IdentityEvent = { type: 'MemberInvited', data: invitation };
const sent: IdentityEvent = {
  type: 'InvitationSent',
  data: { memberId: 'm', invitationId: 'i', simulated: true, sentAt: '2026-01-01T00:00:01.000Z' },
};
const removed: IdentityEvent = { type: 'MemberRemoved', data: { memberId: 'm', reason: 'x', removedAt: '2026-01-02T00:00:00.000Z' } };

const given = (...events: IdentityEvent[]): Member =>
  events.reduce<Member>((state, event) => member.evolve(state, event as Parameters<typeof member.evolve>[1]), member.initial);

describe('inviting', () => {
  it('invites who is unknown or was removed', () => {
    expect(invite(invitation)(given())).toEqual([invited]);
    expect(invite(invitation)(given(invited, removed))).toEqual([invited]);
  });
  it('does not invite twice', () => {
    expect(invite(invitation)(given(invited))).toEqual([]);
    expect(invite({ ...invitation, invitationId: 'j' })(given(invited, sent))).toEqual([]);
  });
});

describe('recording that the mail went out', () => {
  it('happens once', () => {
    expect(recordSent(sent.data as never)(given(invited))).toEqual([sent]);
    expect(recordSent(sent.data as never)(given(invited, sent))).toEqual([]);
  });
  it('says nothing about an invitation that was withdrawn or replaced', () => {
    expect(recordSent(sent.data as never)(given(invited, removed))).toEqual([]);
    expect(recordSent({ ...sent.data, invitationId: 'old' } as never)(given(invited))).toEqual([]);
  });
});

it('withdrawing removes the invited, once', () => {
  expect(removeMember(removed.data as never)(given(invited, sent))).toEqual([removed]);
  expect(removeMember(removed.data as never)(given(invited, removed))).toEqual([]);
  expect(removeMember(removed.data as never)(given())).toEqual([]);
});

it("a tenant's name cannot smuggle markup into the mail", () => {
  const { html, text } = invitationMail({
    tenantName: '<img src=x>',
    host: 'acme.example',
    token: 'ab',
    expiresAt: '2026-01-08T00:00:00Z',
  });
  expect(html).not.toContain('<img');
  expect(text).toContain('http://acme.example/invitations/ab');
});
