import { Module } from '@nestjs/common';
import { provide } from '@tenantry/messaging/provide';
import { ApprovalModule } from '../approval/approval.module.js';
import { HistoryModule } from '../history/history.module.js';
import { PreviewModule } from '../preview/preview.module.js';
import { ConfigVersions } from './config-versions.js';
import { ConfigVersionsRpc } from './config-versions.rpc.js';
import { FollowPlanSettingsEffect } from './follow-plan-settings.effect.js';
import { planSettingsProcess } from './plan-settings.process.js';
import { PutConfigRpc } from './put-config.rpc.js';
import { settingsProjection } from './settings.projection.js';
import { SettingsRpc } from './settings.rpc.js';

@Module({
  imports: [HistoryModule, ApprovalModule, PreviewModule],
  controllers: [SettingsRpc, ConfigVersionsRpc, PutConfigRpc],
  providers: [provide(settingsProjection), provide(planSettingsProcess), FollowPlanSettingsEffect, ConfigVersions],
})
export class ConfigModule {}
