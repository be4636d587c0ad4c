import { Module } from '@nestjs/common';
import { Databases } from './databases.js';
import { DatabasesRpc } from './databases.rpc.js';
import { ServerEvents } from './server-events.js';
import { Servers } from './servers.js';
import { ServersRpc } from './servers.rpc.js';

@Module({ controllers: [ServersRpc, DatabasesRpc], providers: [Servers, Databases, ServerEvents], exports: [Servers, Databases] })
export class ServerModule {}
