import { Module } from '@nestjs/common';
import { provide } from '@tenantry/messaging/provide';
import { entries } from './entries.projection.js';
import { ListAuditRpc } from './list-audit.rpc.js';

@Module({ controllers: [ListAuditRpc], providers: [provide(entries)] })
export class EntryModule {}
