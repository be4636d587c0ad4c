import { Module } from '@nestjs/common';
import { provide } from '@tenantry/messaging/provide';
import { OperationModule } from '../operation/operation.module.js';
import { ServerModule } from '../server/server.module.js';
import { DatabaseLoginRpc } from './database-login.rpc.js';
import { GetPlacementRpc } from './get-placement.rpc.js';
import { MoveOperation } from './move.operation.js';
import { MoveTenantRpc } from './move-tenant.rpc.js';
import { Moves } from './moves.js';
import { moving } from './moving.process.js';

@Module({
  imports: [OperationModule, ServerModule],
  controllers: [GetPlacementRpc, DatabaseLoginRpc, MoveTenantRpc],
  providers: [MoveOperation, Moves, provide(moving)],
  exports: [Moves],
})
export class PlacementModule {}
