import { Controller } from '@nestjs/common';
import { sendNotice } from '@tenantry/contracts/identity/operations';
import { Keyring } from '@tenantry/crypto/keyring';
import { Handles } from '@tenantry/messaging/handles';
import type { z } from 'zod';
import { escapeHtml } from './escape-html.js';
import { Mailer } from './mailer.js';

/** Mails of others in the platform: they say to whom and what. */
@Controller()
export class SendNoticeRpc {
  constructor(
    private readonly mailer: Mailer,
    private readonly keyring: Keyring,
  ) {}

  @Handles(sendNotice)
  async handle({ id, tenantId, to, subject, text }: z.infer<typeof sendNotice.input>): Promise<z.infer<typeof sendNotice.output>> {
    const html = text
      .split(/\n{2,}/)
      .map((paragraph) => `<p>${escapeHtml(paragraph).replaceAll('\n', '<br>')}</p>`)
      .join('');
    await this.mailer.send({
      ...{ id, tenantId, kind: 'notice', subject, text, html },
      to: await this.keyring.reveal<string>(tenantId, to),
    });
    return { simulated: this.mailer.simulated };
  }
}
