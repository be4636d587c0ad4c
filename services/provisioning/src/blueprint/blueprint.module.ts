import { Module } from '@nestjs/common';
import { provide } from '@tenantry/messaging/provide';
import { JobModule } from '../job/job.module.js';
import { OperationModule } from '../operation/operation.module.js';
import { AppSessionsModule } from './app-sessions.module.js';
import { writtenBlueprints } from './blueprint.process.js';
import { BlueprintRpc } from './blueprint.rpc.js';
import { BlueprintRows } from './blueprint-rows.js';
import { Blueprints } from './blueprints.js';
import { CampaignJob } from './campaign.job.js';
import { CampaignRpc } from './campaign.rpc.js';
import { CampaignTargets } from './campaign-targets.js';
import { DriftRpc } from './drift.rpc.js';
import { Sessions } from './sessions.js';
import { WriteBlueprintEffect } from './write-blueprint.effect.js';

@Module({
  imports: [OperationModule, JobModule, AppSessionsModule],
  controllers: [BlueprintRpc, CampaignRpc, DriftRpc],
  providers: [Blueprints, BlueprintRows, provide(writtenBlueprints), WriteBlueprintEffect, CampaignTargets, CampaignJob, Sessions],
  exports: [Sessions, Blueprints, CampaignJob, CampaignTargets],
})
export class BlueprintModule {}
