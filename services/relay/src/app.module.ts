import { Module } from '@nestjs/common';
import { Publishing } from './publishing.js';

@Module({ providers: [Publishing] })
export class AppModule {}
