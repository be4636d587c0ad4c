import { Module } from '@nestjs/common';
import { BlueprintModule } from '../blueprint/blueprint.module.js';
import { JobModule } from '../job/job.module.js';
import { StartUpgrade } from './start-upgrade.job.js';
import { UpgradeSchemaJob } from './upgrade-schema.job.js';

@Module({ imports: [JobModule, BlueprintModule], providers: [UpgradeSchemaJob, StartUpgrade], exports: [UpgradeSchemaJob] })
export class UpgradeModule {}
