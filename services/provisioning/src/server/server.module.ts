import { Module } from '@nestjs/common';
import { Servers } from './servers.js';
import { ServersRpc } from './servers.rpc.js';

@Module({ controllers: [ServersRpc], providers: [Servers], exports: [Servers] })
export class ServerModule {}
