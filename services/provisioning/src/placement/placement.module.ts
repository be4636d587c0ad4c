import { Module } from '@nestjs/common';
import { GetPlacementRpc } from './get-placement.rpc.js';

@Module({ controllers: [GetPlacementRpc] })
export class PlacementModule {}
