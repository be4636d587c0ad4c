import { Module } from '@nestjs/common';
import { ConfigView } from './config-view.js';
import { DiffHistoryRpc } from './diff-history.rpc.js';
import { GetConfigRpc } from './get-config.rpc.js';
import { ListHistoryRpc } from './list-history.rpc.js';
import { Sensitive } from './sensitive.js';
import { TenantHistory } from './tenant-history.js';

@Module({
  controllers: [ListHistoryRpc, DiffHistoryRpc, GetConfigRpc],
  providers: [TenantHistory, Sensitive, ConfigView],
  exports: [TenantHistory, Sensitive, ConfigView],
})
export class HistoryModule {}
