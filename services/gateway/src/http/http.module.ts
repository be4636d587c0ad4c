import { Module } from '@nestjs/common';
import { maintenanceGate } from '@tenantry/service/maintenance-gate';
import { tenantGate } from '@tenantry/service/tenant-gate';
import { IdempotencyModule } from '../idempotency/idempotency.module.js';
import { OperationEvents } from '../operation-events/progress-streams.js';
import { Downloads } from '../transfer/downloads.js';
import { ReadUploadRpc } from '../transfer/read-upload.rpc.js';
import { Transfers } from '../transfer/transfers.js';
import { Uploads } from '../transfer/uploads.js';
import { Forwarder } from './forwarder.js';
import { HttpServer } from './http-server.js';

@Module({
  imports: [IdempotencyModule],
  controllers: [ReadUploadRpc],
  providers: [Forwarder, OperationEvents, Transfers, Uploads, Downloads, tenantGate, maintenanceGate, HttpServer],
})
export class HttpModule {}
