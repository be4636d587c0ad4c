import { Module } from '@nestjs/common';
import { ApprovalModule } from './approval/approval.module.js';
import { BlueprintModule } from './blueprint/blueprint.module.js';
import { BulkModule } from './bulk/bulk.module.js';
import { ConfigModule } from './config/config.module.js';
import { DiagnoseModule } from './diagnose/diagnose.module.js';
import { ErasureModule } from './erasure/erasure.module.js';
import { EventModule } from './event/event.module.js';
import { FeatureModule } from './feature/feature.module.js';
import { FileModule } from './file/file.module.js';
import { IsolationModule } from './isolation/isolation.module.js';
import { JobModule } from './job/job.module.js';
import { MaintenanceModule } from './maintenance/maintenance.module.js';
import { MasterKeyModule } from './master-key/master-key.module.js';
import { OperationModule } from './operation/operation.module.js';
import { OversightModule } from './oversight/oversight.module.js';
import { PlacementModule } from './placement/placement.module.js';
import { PreviewModule } from './preview/preview.module.js';
import { SagaModule } from './saga/saga.module.js';
import { ServerModule } from './server/server.module.js';
import { TenantModule } from './tenant/tenant.module.js';
import { UpgradeModule } from './upgrade/upgrade.module.js';

@Module({
  imports: [
    BlueprintModule,
    TenantModule,
    OperationModule,
    JobModule,
    BulkModule,
    MaintenanceModule,
    OversightModule,
    PlacementModule,
    ServerModule,
    ConfigModule,
    ApprovalModule,
    FeatureModule,
    PreviewModule,
    ErasureModule,
    EventModule,
    SagaModule,
    IsolationModule,
    DiagnoseModule,
    FileModule,
    UpgradeModule,
    MasterKeyModule,
  ],
})
export class AppModule {}
