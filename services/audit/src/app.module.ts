import { Module } from '@nestjs/common';
import { EntryModule } from './entry/entry.module.js';

@Module({ imports: [EntryModule] })
export class AppModule {}
