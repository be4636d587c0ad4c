import { Module } from '@nestjs/common';
import { IsolationModule } from '../isolation/isolation.module.js';
import { OperationModule } from '../operation/operation.module.js';
import { AccessChecks } from './access.checks.js';
import { DataChecks } from './data.checks.js';
import { DiagnoseTenantRpc } from './diagnose-tenant.rpc.js';
import { LifeChecks } from './life.checks.js';

@Module({
  imports: [OperationModule, IsolationModule],
  controllers: [DiagnoseTenantRpc],
  providers: [LifeChecks, DataChecks, AccessChecks],
})
export class DiagnoseModule {}
