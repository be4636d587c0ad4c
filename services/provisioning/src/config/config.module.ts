import { Module } from '@nestjs/common';
import { provide } from '@tenantry/messaging/provide';
import { settingsProjection } from './settings.projection.js';
import { SettingsRpc } from './settings.rpc.js';

@Module({ controllers: [SettingsRpc], providers: [provide(settingsProjection)] })
export class ConfigModule {}
