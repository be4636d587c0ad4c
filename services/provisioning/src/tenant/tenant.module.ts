import { Module } from '@nestjs/common';
import { provide } from '@tenantry/messaging/provide';
import { HistoryModule } from '../history/history.module.js';
import { OperationModule } from '../operation/operation.module.js';
import { Plans } from '../plan/plans.js';
import { AbandonRegistrations } from './abandon-registrations.job.js';
import { ActivateTenantRpc } from './activate-tenant.rpc.js';
import { CreateTenantRpc } from './create-tenant.rpc.js';
import { GetTenantRpc } from './get-tenant.rpc.js';
import { ListTenantsRpc } from './list-tenants.rpc.js';
import { Names } from './names.js';
import { Resellers } from './resellers.js';
import { RetryTenantRpc } from './retry-tenant.rpc.js';
import { tenantList } from './tenant-list.projection.js';
import { TenantStatusRpc } from './tenant-status.rpc.js';
import { UpdateTenantRpc } from './update-tenant.rpc.js';

@Module({
  imports: [OperationModule, HistoryModule],
  controllers: [CreateTenantRpc, GetTenantRpc, ListTenantsRpc, UpdateTenantRpc, ActivateTenantRpc, TenantStatusRpc, RetryTenantRpc],
  providers: [Names, Plans, Resellers, AbandonRegistrations, provide(tenantList)],
})
export class TenantModule {}
