import { createHash } from 'node:crypto';
import type { Pool } from 'pg';

interface InvitationRow {
  invitationId: string;
  tenantId: string;
  memberId: string;
  /** The host name that the link leads to. */
  host: string;
  expiresAt: string;
}

/** What an invitation needs beside its events. Of its secret only the hash is stored. */
export class InvitationTable {
  constructor(private readonly pool: Pool) {}

  async insert({ invitationId, tenantId, memberId, host, expiresAt }: InvitationRow): Promise<void> {
    await this.pool.query(
      `INSERT INTO identity.invitations (invitation_id, tenant_id, member_id, host, expires_at) VALUES ($1, $2, $3, $4, $5)
       ON CONFLICT (invitation_id) DO NOTHING`,
      [invitationId, tenantId, memberId, host, expiresAt],
    );
  }

  /** Stores the hash of the link's secret and answers the host that the link leads to; null where the invitation was withdrawn. */
  async open(invitationId: string, token: string): Promise<{ host: string } | null> {
    const { rows } = await this.pool.query<{ host: string }>(
      'UPDATE identity.invitations SET token_hash = $2 WHERE invitation_id = $1 RETURNING host',
      [invitationId, createHash('sha256').update(token).digest()],
    );
    return rows[0] ?? null;
  }

  /** The links of the member's invitations lead nowhere from now on. */
  async remove(tenantId: string, memberId: string): Promise<void> {
    await this.pool.query('DELETE FROM identity.invitations WHERE tenant_id = $1 AND member_id = $2', [tenantId, memberId]);
  }
}
