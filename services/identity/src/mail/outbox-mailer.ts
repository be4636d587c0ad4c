import { Injectable } from '@nestjs/common';
import { Clock } from '@tenantry/contracts/clock';
import { PLATFORM_LOG } from '@tenantry/contracts/ids';
import { Keyring } from '@tenantry/crypto/keyring';
import { Database } from '@tenantry/service/database';
import { type Mail, Mailer } from './mailer.js';

/** Key of the outbox's own; not one per tenant, so that a page of mails needs one key. */
const SUBJECT = 'mail-outbox';

export interface OutboxEntry extends Mail {
  createdAt: string;
  simulated: true;
}

interface Row {
  id: string;
  tenant_id: string;
  kind: Mail['kind'];
  recipient: string;
  subject: string;
  text: string;
  html: string;
  created_at: Date;
}

/** Stand-in for a mail server: mails are kept in a table and shown at `/outbox` of the health port. */
@Injectable()
export class OutboxMailer extends Mailer {
  override readonly simulated = true;

  constructor(
    private readonly database: Database,
    private readonly keyring: Keyring,
    private readonly clock: Clock,
  ) {
    super();
  }

  override async send({ id, tenantId, kind, to, subject, text, html }: Mail): Promise<void> {
    const [recipient, sealedText, sealedHtml] = await Promise.all(
      [to, text, html].map(async (part) => (await this.keyring.encrypt(PLATFORM_LOG, SUBJECT, part)).enc),
    );
    await this.database.pool.query(
      `INSERT INTO identity.mail_outbox (id, tenant_id, kind, recipient, subject, text, html, created_at)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (id) DO NOTHING`,
      [id, tenantId, kind, recipient, subject, sealedText, sealedHtml, this.clock.now()],
    );
  }

  /** Newest first. */
  async list({ limit, tenantId }: { limit: number; tenantId?: string }): Promise<OutboxEntry[]> {
    const { rows } = await this.database.pool.query<Row>(
      `SELECT id, tenant_id, kind, recipient, subject, text, html, created_at FROM identity.mail_outbox
       WHERE $2::uuid IS NULL OR tenant_id = $2 ORDER BY created_at DESC, id DESC LIMIT $1`,
      [limit, tenantId ?? null],
    );
    const clear = (enc: string) => this.keyring.reveal<string>(PLATFORM_LOG, { enc });
    return Promise.all(
      rows.map(async (row) => ({
        id: row.id,
        tenantId: row.tenant_id,
        kind: row.kind,
        to: await clear(row.recipient),
        subject: row.subject,
        text: await clear(row.text),
        html: await clear(row.html),
        createdAt: row.created_at.toISOString(),
        simulated: true as const,
      })),
    );
  }
}
