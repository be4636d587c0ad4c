import { Module } from '@nestjs/common';
import { provide } from '@tenantry/messaging/provide';
import { FollowPlanSettingsEffect } from './follow-plan-settings.effect.js';
import { planSettingsProcess } from './plan-settings.process.js';
import { settingsProjection } from './settings.projection.js';
import { SettingsRpc } from './settings.rpc.js';

@Module({ controllers: [SettingsRpc], providers: [provide(settingsProjection), provide(planSettingsProcess), FollowPlanSettingsEffect] })
export class ConfigModule {}
