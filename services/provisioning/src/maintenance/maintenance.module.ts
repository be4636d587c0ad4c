import { Module } from '@nestjs/common';
import { provide } from '@tenantry/messaging/provide';
import { JobModule } from '../job/job.module.js';
import { TenantSelection } from '../tenant/tenant-selection.js';
import { CreateWindowRpc } from './create-window.rpc.js';
import { maintaining } from './maintenance.process.js';
import { maintenanceWindows } from './maintenance-windows.projection.js';
import { ReadWindowsRpc } from './read-windows.rpc.js';
import { RunMaintenance } from './run-maintenance.effect.js';
import { MaintenanceWindows } from './windows.js';

@Module({
  imports: [JobModule],
  controllers: [CreateWindowRpc, ReadWindowsRpc],
  providers: [MaintenanceWindows, TenantSelection, RunMaintenance, provide(maintaining), provide(maintenanceWindows)],
})
export class MaintenanceModule {}
