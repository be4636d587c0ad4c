import { Module } from '@nestjs/common';
import { ApprovalModule } from '../approval/approval.module.js';
import { HistoryModule } from '../history/history.module.js';
import { PreviewTenantRpc } from './preview-tenant.rpc.js';
import { Previews } from './previews.js';

@Module({ imports: [HistoryModule, ApprovalModule], controllers: [PreviewTenantRpc], providers: [Previews], exports: [Previews] })
export class PreviewModule {}
