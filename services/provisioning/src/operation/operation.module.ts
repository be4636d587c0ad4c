import { Module } from '@nestjs/common';
import { provide } from '@tenantry/messaging/provide';
import { TenantRetry } from '../tenant/tenant-retry.js';
import { CancelOperationRpc } from './cancel-operation.rpc.js';
import { GetOperationRpc } from './get-operation.rpc.js';
import { ListItemsRpc } from './list-items.rpc.js';
import { ListOperationsRpc } from './list-operations.rpc.js';
import { OperationIndex } from './operation-index.js';
import { OperationKinds } from './operation-kinds.js';
import { operations } from './operation-list.projection.js';
import { OperationTypes } from './operation-types.js';
import { Operations } from './operations.js';
import { PauseOperationRpc } from './pause-operation.rpc.js';
import { ProvisioningOperations } from './provisioning-operations.js';
import { RetryOperationRpc } from './retry-operation.rpc.js';
import { RollBackOperationRpc } from './roll-back-operation.rpc.js';
import { RunOperation } from './run-operation.effect.js';
import { retriedOperations } from './stepped.process.js';

@Module({
  controllers: [
    GetOperationRpc,
    ListOperationsRpc,
    ListItemsRpc,
    RetryOperationRpc,
    CancelOperationRpc,
    PauseOperationRpc,
    RollBackOperationRpc,
  ],
  providers: [
    Operations,
    OperationIndex,
    OperationKinds,
    ProvisioningOperations,
    TenantRetry,
    OperationTypes,
    RunOperation,
    provide(retriedOperations),
    provide(operations),
  ],
  exports: [Operations, OperationIndex, OperationKinds, OperationTypes, TenantRetry],
})
export class OperationModule {}
