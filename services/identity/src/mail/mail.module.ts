import { Module } from '@nestjs/common';
import { Mailer } from './mailer.js';
import { OutboxPage } from './outbox.page.js';
import { OutboxMailer } from './outbox-mailer.js';
import { SendNoticeRpc } from './send-notice.rpc.js';

/** `TENANTRY_MAIL=outbox`, the only kind so far: mail is simulated, and shown at `/outbox`. */
@Module({
  controllers: [SendNoticeRpc],
  providers: [OutboxMailer, OutboxPage, { provide: Mailer, useExisting: OutboxMailer }],
  exports: [Mailer],
})
export class MailModule {}
