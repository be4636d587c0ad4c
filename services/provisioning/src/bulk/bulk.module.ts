import { Module } from '@nestjs/common';
import { ApprovalModule } from '../approval/approval.module.js';
import { HistoryModule } from '../history/history.module.js';
import { JobModule } from '../job/job.module.js';
import { OperationModule } from '../operation/operation.module.js';
import { PlacementModule } from '../placement/placement.module.js';
import { PlanModule } from '../plan/plan.module.js';
import { ServerModule } from '../server/server.module.js';
import { TenantSelection } from '../tenant/tenant-selection.js';
import { MoveTenants } from './move.job.js';
import { Notify } from './notify.job.js';
import { ChangeSettings } from './settings.job.js';
import { StartBulkOperationRpc } from './start-bulk-operation.rpc.js';
import { tenantDecisions } from './tenant-decisions.job.js';

@Module({
  imports: [JobModule, OperationModule, PlanModule, ApprovalModule, HistoryModule, PlacementModule, ServerModule],
  controllers: [StartBulkOperationRpc],
  providers: [TenantSelection, Notify, ChangeSettings, MoveTenants, ...tenantDecisions],
})
export class BulkModule {}
