import { Module } from '@nestjs/common';
import { Idempotency } from './idempotency.js';
import { IdempotencyTable } from './idempotency-table.js';
import { PurgeJob } from './purge.job.js';

@Module({ providers: [IdempotencyTable, Idempotency, PurgeJob], exports: [Idempotency] })
export class IdempotencyModule {}
