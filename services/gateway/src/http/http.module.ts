import { Module } from '@nestjs/common';
import { tenantGate } from '@tenantry/service/tenant-gate';
import { IdempotencyModule } from '../idempotency/idempotency.module.js';
import { OperationEvents } from '../operation-events/progress-streams.js';
import { Forwarder } from './forwarder.js';
import { HttpServer } from './http-server.js';

@Module({ imports: [IdempotencyModule], providers: [Forwarder, OperationEvents, tenantGate, HttpServer] })
export class HttpModule {}
