import { Module } from '@nestjs/common';
import { RebuildOperations } from '../oversight/rebuilds.js';
import { TenantRetry } from '../tenant/tenant-retry.js';
import { CancelOperationRpc } from './cancel-operation.rpc.js';
import { GetOperationRpc } from './get-operation.rpc.js';
import { OperationIndex } from './operation-index.js';
import { Operations } from './operations.js';
import { RetryOperationRpc } from './retry-operation.rpc.js';

@Module({
  controllers: [GetOperationRpc, RetryOperationRpc, CancelOperationRpc],
  providers: [Operations, OperationIndex, RebuildOperations, TenantRetry],
  exports: [OperationIndex, RebuildOperations, TenantRetry],
})
export class OperationModule {}
