import { Module } from '@nestjs/common';
import { provide } from '@tenantry/messaging/provide';
import { OperationModule } from '../operation/operation.module.js';
import { EraseTenant } from './erase-tenant.operation.js';
import { Erasures } from './erased.js';
import { erasing } from './erasure.process.js';
import { ExportEnd } from './export-end.timer.js';
import { TenantFiles } from './files.store.js';
import { GetErasureCertificateRpc } from './get-erasure-certificate.rpc.js';
import { GetErasureExportRpc } from './get-erasure-export.rpc.js';
import { TenantSchemas } from './schemas.store.js';
import { TenantExport } from './tenant-export.js';

@Module({
  imports: [OperationModule],
  controllers: [GetErasureCertificateRpc, GetErasureExportRpc],
  providers: [EraseTenant, Erasures, TenantExport, ExportEnd, TenantFiles, TenantSchemas, provide(erasing)],
})
export class ErasureModule {}
