import { Module } from '@nestjs/common';
import { provide } from '@tenantry/messaging/provide';
import { ApprovalModule } from '../approval/approval.module.js';
import { HistoryModule } from '../history/history.module.js';
import { OperationModule } from '../operation/operation.module.js';
import { PlanModule } from '../plan/plan.module.js';
import { AbandonRegistrations } from './abandon-registrations.job.js';
import { ApprovedTransitions } from './approved-transitions.js';
import { CreateTenantRpc } from './create-tenant.rpc.js';
import { DeleteTenantRpc } from './delete-tenant.rpc.js';
import { DeletionGrace } from './deletion-grace.effect.js';
import { DeletionOperations } from './deletion-operations.js';
import { DeletionPreviewRpc } from './deletion-preview.rpc.js';
import { Deletions } from './deletions.js';
import { EndTrial } from './end-trial.effect.js';
import { family } from './family.process.js';
import { FollowParent } from './follow-parent.effect.js';
import { GetTenantRpc } from './get-tenant.rpc.js';
import { lifecycle } from './lifecycle.process.js';
import { ListTenantsRpc } from './list-tenants.rpc.js';
import { Names } from './names.js';
import { Resellers } from './resellers.js';
import { RunTransition } from './run-transition.effect.js';
import { ScheduledTransitionsRpc } from './scheduled-transitions.rpc.js';
import { TenantFigures } from './tenant-figures.job.js';
import { tenantList } from './tenant-list.projection.js';
import { TenantMetricsRpc } from './tenant-metrics.rpc.js';
import { TenantTransitions } from './tenant-transitions.js';
import { TransitionsRpc } from './transitions.rpc.js';
import { UpdateTenantRpc } from './update-tenant.rpc.js';

@Module({
  imports: [OperationModule, HistoryModule, PlanModule, ApprovalModule],
  controllers: [
    CreateTenantRpc,
    GetTenantRpc,
    ListTenantsRpc,
    TenantMetricsRpc,
    UpdateTenantRpc,
    TransitionsRpc,
    ScheduledTransitionsRpc,
    DeleteTenantRpc,
    DeletionPreviewRpc,
  ],
  providers: [
    Names,
    Resellers,
    AbandonRegistrations,
    TenantTransitions,
    DeletionOperations,
    Deletions,
    ApprovedTransitions,
    provide(tenantList),
    TenantFigures,
    provide(lifecycle),
    RunTransition,
    provide(family),
    FollowParent,
    DeletionGrace,
    EndTrial,
  ],
})
export class TenantModule {}
