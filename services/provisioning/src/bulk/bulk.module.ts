import { Module } from '@nestjs/common';
import { JobModule } from '../job/job.module.js';
import { OperationModule } from '../operation/operation.module.js';
import { PlanModule } from '../plan/plan.module.js';
import { TenantSelection } from '../tenant/tenant-selection.js';
import { Notify } from './notify.job.js';
import { StartBulkOperationRpc } from './start-bulk-operation.rpc.js';
import { tenantDecisions } from './tenant-decisions.job.js';

@Module({
  imports: [JobModule, OperationModule, PlanModule],
  controllers: [StartBulkOperationRpc],
  providers: [TenantSelection, Notify, ...tenantDecisions],
})
export class BulkModule {}
