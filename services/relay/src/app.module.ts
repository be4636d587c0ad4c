import { Module } from '@nestjs/common';
import { Following } from './following.js';
import { Publishing } from './publishing.js';

@Module({ providers: [Following, Publishing] })
export class AppModule {}
