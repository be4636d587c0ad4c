import { Module } from '@nestjs/common';
import { ApiKeyModule } from './api-key/api-key.module.js';
import { EventSubscriptionModule } from './event-subscription/event-subscription.module.js';
import { KeysModule } from './keys/keys.module.js';
import { MailModule } from './mail/mail.module.js';
import { MemberModule } from './member/member.module.js';
import { SecurityModule } from './security/security.module.js';
import { SigningModule } from './signing/signing.module.js';

@Module({ imports: [KeysModule, SecurityModule, ApiKeyModule, MailModule, MemberModule, EventSubscriptionModule, SigningModule] })
export class AppModule {}
