import { Module } from '@nestjs/common';
import { provide } from '@tenantry/messaging/provide';
import { OperationModule } from '../operation/operation.module.js';
import { ListConsumersRpc } from './list-consumers.rpc.js';
import { ListParkedRpc } from './list-parked.rpc.js';
import { ParkedThings } from './parked.js';
import { RebuildProjection } from './rebuild-projection.effect.js';
import { RebuildProjectionRpc } from './rebuild-projection.rpc.js';
import { rebuilding } from './rebuilding.process.js';
import { RebuildOperations } from './rebuilds.js';
import { RetryParkedRpc } from './retry-parked.rpc.js';
import { SkipParkedRpc } from './skip-parked.rpc.js';

@Module({
  imports: [OperationModule],
  controllers: [ListConsumersRpc, ListParkedRpc, RetryParkedRpc, SkipParkedRpc, RebuildProjectionRpc],
  providers: [ParkedThings, RebuildOperations, provide(rebuilding), RebuildProjection],
})
export class OversightModule {}
