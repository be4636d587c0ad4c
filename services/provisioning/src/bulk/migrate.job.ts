import { Injectable } from '@nestjs/common';
import { CampaignJob, type CampaignParams } from '../blueprint/campaign.job.js';
import { type ItemOutcome, JobHandler, type JobItem, type RunningJob } from '../job/job-handler.js';
import { UpgradeSchemaJob } from '../upgrade/upgrade-schema.job.js';

/** What a release's upgrade and a blueprint's campaign do to a tenant, for those that were chosen. Both find what is done already. */
@Injectable()
export class MigrateTenants extends JobHandler<CampaignParams | null> {
  readonly type = 'bulk.migrate';

  constructor(
    private readonly upgrade: UpgradeSchemaJob,
    private readonly campaign: CampaignJob,
  ) {
    super();
  }

  override async run(item: JobItem, job: RunningJob<CampaignParams | null>): Promise<ItemOutcome> {
    const upgraded = await this.upgrade.run(item);
    const { params } = job;
    return upgraded.status !== 'succeeded' || params === null ? upgraded : this.campaign.run(item, { ...job, params });
  }
}
