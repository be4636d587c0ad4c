import { Module } from '@nestjs/common';
import { FirstRequests } from './first-requests.js';
import { Idempotency } from './keyed-requests.js';
import { PostgresFirstRequests } from './postgres-first-requests.js';
import { PurgeJob } from './purge.job.js';

@Module({ providers: [{ provide: FirstRequests, useClass: PostgresFirstRequests }, Idempotency, PurgeJob], exports: [Idempotency] })
export class IdempotencyModule {}
