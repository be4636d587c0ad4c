import type { StoredEvent } from '@tenantry/contracts/events';
import { newId } from '@tenantry/contracts/ids';
import type { Database } from '@tenantry/service/database';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { OutboxMailer } from '../mail/outbox-mailer.js';
import { identityDatabase } from '../testing/database.js';
import { platform } from '../testing/platform.js';
import { InvitationTable } from './invitation-table.js';
import { invitations } from './invitations.process.js';
import { InviteAdminRpc } from './invite-admin.rpc.js';
import { SendInvitationEffect } from './send-invitation.effect.js';
import { WithdrawAdminRpc } from './withdraw-admin.rpc.js';

let database: Awaited<ReturnType<typeof identityDatabase>>;
beforeAll(async () => {
  database = await identityDatabase();
}, 120_000);
afterAll(() => database.stop());

const { log, keyring, clock, events } = platform();
const caller = { service: 'provisioning' };
const table = () => new InvitationTable(database.pool);
const outbox = () => new OutboxMailer({ pool: database.pool } as Database, keyring, clock);

let tenantId: string;
let operationId: string;
beforeEach(() => {
  tenantId = newId();
  operationId = newId();
});
const invite = async (email: string | { enc: string } = 'Ada@Example.com') =>
  new InviteAdminRpc(log, keyring, table(), clock).handle(
    { tenantId, operationId, email, tenantName: 'Acme', host: 'acme.tenantry.localhost' },
    caller,
  );
const withdraw = () => new WithdrawAdminRpc(log, table(), clock).handle({ tenantId, operationId }, caller);
const typesOf = async () => (await events(tenantId)).map(({ type }) => type);
/** Runs what the process manager asks for, as the worker would. */
const send = async (effectId: string) => {
  const invited = (await events(tenantId)).findLast(({ type }) => type === 'MemberInvited');
  const asked = invitations.on.MemberInvited?.(invited as never);
  if (!invited || !asked || Array.isArray(asked)) throw new Error('no effect was asked for');
  await new SendInvitationEffect(log, keyring, table(), outbox(), clock).run({
    id: effectId,
    tenantId,
    name: asked.name,
    payload: asked.payload as never,
    causationId: invited.id,
    attempt: 1,
    signal: new AbortController().signal,
  });
};

describe('inviting the first owner', () => {
  it('records the invitation with the address encrypted for that person', async () => {
    const { memberId } = await invite(await keyring.encrypt(tenantId, 'contacts', 'Ada@Example.com'));
    const [event] = await events(tenantId);
    expect(event).toMatchObject({ type: 'MemberInvited', stream: `member-${memberId}`, data: { role: 'owner' } });
    const { email, emailIndex } = (event as StoredEvent).data as { email: { enc: string }; emailIndex: string };
    expect(email.enc).toContain(`${tenantId}/member-${memberId}/1:`);
    expect(await keyring.reveal(tenantId, email)).toBe('Ada@Example.com');
    expect(emailIndex).toBe(await keyring.hmac(tenantId, 'email', 'ada@example.com'));
  });

  it('happens once, however often it is asked for', async () => {
    const first = await invite();
    expect(await Promise.all([invite(), invite()])).toEqual([first, first]);
    expect(await typesOf()).toEqual(['MemberInvited']);
  });

  it('can be withdrawn, again without effect, and done anew with another link', async () => {
    const first = await invite();
    await withdraw();
    await withdraw();
    const second = await invite();
    expect(second.memberId).toBe(first.memberId);
    expect(second.invitationId).not.toBe(first.invitationId);
    await withdraw();
    expect(await typesOf()).toEqual(['MemberInvited', 'MemberRemoved', 'MemberInvited', 'MemberRemoved']);
  });
});

describe('the invitation', () => {
  it('goes out once, though its effect may run twice', async () => {
    await invite();
    const effectId = newId();
    await send(effectId);
    await send(effectId);
    expect(await typesOf()).toEqual(['MemberInvited', 'InvitationSent']);
    const mails = await outbox().list({ limit: 10, tenantId });
    expect(mails).toHaveLength(1);
    expect(mails[0]).toMatchObject({ id: effectId, tenantId, kind: 'invitation', to: 'Ada@Example.com', simulated: true });
    expect(mails[0]?.text).toMatch(/http:\/\/acme\.tenantry\.localhost\/invitations\/[0-9a-f]{64}/);
  });

  it('is the same mail when the process dies between the mail and its record', async () => {
    await invite();
    const effectId = newId();
    const dying = new SendInvitationEffect(
      { load: log.load.bind(log), transact: () => Promise.reject(new Error('killed')) } as never,
      keyring,
      table(),
      outbox(),
      clock,
    );
    const invited = (await events(tenantId))[0];
    const asked = invitations.on.MemberInvited?.(invited as never) as { name: string; payload: never };
    const effect = { id: effectId, tenantId, ...asked, causationId: newId(), attempt: 1, signal: new AbortController().signal };
    await expect(dying.run(effect)).rejects.toThrow('killed');
    await send(effectId);
    expect(await outbox().list({ limit: 10, tenantId })).toHaveLength(1);
    expect(await typesOf()).toEqual(['MemberInvited', 'InvitationSent']);
  });

  it('does not go out once it was withdrawn', async () => {
    await invite();
    await withdraw();
    await send(newId());
    expect(await outbox().list({ limit: 10, tenantId })).toEqual([]);
  });

  it('leaves neither address nor link readable in the tables', async () => {
    await invite();
    await send(newId());
    const [mail] = await outbox().list({ limit: 1, tenantId });
    const { rows } = await database.pool.query(
      'SELECT m::text AS row FROM identity.mail_outbox m UNION ALL SELECT i::text FROM identity.invitations i',
    );
    const token = /invitations\/([0-9a-f]{64})/.exec(mail?.text ?? '')?.[1] as string;
    for (const { row } of rows) {
      expect(row).not.toContain('Example.com');
      expect(row).not.toContain(token);
    }
  });
});
