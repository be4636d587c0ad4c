import { escapeHtml } from '../mail/escape-html.js';

/** `token` is 64 hex digits. The tenant's name is what somebody typed: it is escaped in HTML. */
export function invitationMail({
  tenantName,
  host,
  token,
  expiresAt,
}: {
  tenantName: string;
  host: string;
  token: string;
  expiresAt: string;
}) {
  const link = `http://${host}/invitations/${token}`;
  const until = `${expiresAt.slice(0, 16).replace('T', ' ')} UTC`;
  return {
    subject: `You are invited to ${tenantName}`,
    text: `You are invited to ${tenantName} as its owner.\n\nAccept the invitation: ${link}\n\nThe link works until ${until}.\n`,
    html:
      `<p>You are invited to <strong>${escapeHtml(tenantName)}</strong> as its owner.</p>` +
      `<p><a href="${escapeHtml(link)}">Accept the invitation</a></p><p>The link works until ${until}.</p>`,
  };
}
