import { Module } from '@nestjs/common';
import { HistoryModule } from '../history/history.module.js';
import { DecryptEventsRpc } from './decrypt-events.rpc.js';
import { ListEventsRpc } from './list-events.rpc.js';

@Module({ imports: [HistoryModule], controllers: [ListEventsRpc, DecryptEventsRpc] })
export class EventModule {}
