import { Module } from '@nestjs/common';
import { provide } from '@tenantry/messaging/provide';
import { ApprovalModule } from '../approval/approval.module.js';
import { FeaturesRpc } from './features.rpc.js';
import { AwaitFeatureSchedule, FeatureSchedule } from './schedules.js';
import { schedulesProcess } from './schedules.process.js';

@Module({
  imports: [ApprovalModule],
  controllers: [FeaturesRpc],
  providers: [provide(schedulesProcess), AwaitFeatureSchedule, FeatureSchedule],
})
export class FeatureModule {}
