import { Module } from '@nestjs/common';
import { QuotaModule } from './quota/quota.module.js';
import { UsageModule } from './usage/usage.module.js';

@Module({ imports: [QuotaModule, UsageModule] })
export class AppModule {}
