import { Module } from '@nestjs/common';
import { Database } from '@tenantry/service/database';
import { TenantGate, tenantGate } from '@tenantry/service/tenant-gate';
import { GetUsageRpc } from './get-usage.rpc.js';
import { HoldUsageRpc } from './hold-usage.rpc.js';
import { IncrementUsageRpc } from './increment-usage.rpc.js';
import { Ledger } from './ledger.js';
import { ListUsageLogsRpc } from './list-usage-logs.rpc.js';
import { ReleaseUsageRpc } from './release-usage.rpc.js';
import { TotalUsageRpc } from './total-usage.rpc.js';
import { UsageMeter } from './usage-meter.js';

@Module({
  controllers: [GetUsageRpc, IncrementUsageRpc, ReleaseUsageRpc, ListUsageLogsRpc, TotalUsageRpc, HoldUsageRpc],
  providers: [{ provide: Ledger, useFactory: (database: Database) => new Ledger(database), inject: [Database] }, UsageMeter, tenantGate],
  exports: [Ledger, UsageMeter, TenantGate],
})
export class UsageModule {}
