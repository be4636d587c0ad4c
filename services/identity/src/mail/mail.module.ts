import { Module } from '@nestjs/common';
import { Mailer } from './mailer.js';
import { OutboxMailer } from './outbox-mailer.js';

@Module({
  providers: [OutboxMailer, { provide: Mailer, useExisting: OutboxMailer }],
  exports: [Mailer, OutboxMailer],
})
export class MailModule {}
