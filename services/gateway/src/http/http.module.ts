import { Module } from '@nestjs/common';
import { maintenanceGate } from '@tenantry/service/maintenance-gate';
import { tenantGate } from '@tenantry/service/tenant-gate';
import { IdempotencyModule } from '../idempotency/idempotency.module.js';
import { OperationEvents } from '../operation-events/progress-streams.js';
import { Forwarder } from './forwarder.js';
import { HttpServer } from './http-server.js';

@Module({ imports: [IdempotencyModule], providers: [Forwarder, OperationEvents, tenantGate, maintenanceGate, HttpServer] })
export class HttpModule {}
