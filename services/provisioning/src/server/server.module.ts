import { Module } from '@nestjs/common';
import { AppSessionsModule } from '../blueprint/app-sessions.module.js';
import { Databases } from './databases.js';
import { DatabasesRpc } from './databases.rpc.js';
import { ServerEvents } from './server-events.js';
import { Servers } from './servers.js';
import { ServersRpc } from './servers.rpc.js';

@Module({
  imports: [AppSessionsModule],
  controllers: [ServersRpc, DatabasesRpc],
  providers: [Servers, Databases, ServerEvents],
  exports: [Servers, Databases],
})
export class ServerModule {}
