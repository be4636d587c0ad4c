import { Module } from '@nestjs/common';
import { ApprovalModule } from '../approval/approval.module.js';
import { BlueprintModule } from '../blueprint/blueprint.module.js';
import { HistoryModule } from '../history/history.module.js';
import { JobModule } from '../job/job.module.js';
import { OperationModule } from '../operation/operation.module.js';
import { PlacementModule } from '../placement/placement.module.js';
import { PlanModule } from '../plan/plan.module.js';
import { ServerModule } from '../server/server.module.js';
import { TenantSelection } from '../tenant/tenant-selection.js';
import { UpgradeModule } from '../upgrade/upgrade.module.js';
import { ChangeLimits } from './limits.job.js';
import { MigrateTenants } from './migrate.job.js';
import { MoveTenants } from './move.job.js';
import { Notify } from './notify.job.js';
import { ChangeSettings } from './settings.job.js';
import { StartBulkOperationRpc } from './start-bulk-operation.rpc.js';
import { tenantDecisions } from './tenant-decisions.job.js';

@Module({
  imports: [
    JobModule,
    OperationModule,
    PlanModule,
    ApprovalModule,
    HistoryModule,
    PlacementModule,
    ServerModule,
    BlueprintModule,
    UpgradeModule,
  ],
  controllers: [StartBulkOperationRpc],
  providers: [TenantSelection, Notify, ChangeSettings, ChangeLimits, MoveTenants, MigrateTenants, ...tenantDecisions],
})
export class BulkModule {}
