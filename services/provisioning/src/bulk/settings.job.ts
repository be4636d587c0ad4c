import { Injectable } from '@nestjs/common';
import type { PutConfigBody } from '@tenantry/contracts/tenant/config-routes';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { Holding } from '../approval/holding.js';
import { changeOf } from '../config/change.js';
import { config } from '../config/config.js';
import { ConfigChanges } from '../config/config-changes.js';
import { configChangeOf } from '../config/config-input.js';
import { ConfigView } from '../history/config-view.js';
import { TenantHistory } from '../history/tenant-history.js';
import { itemCommand } from '../job/item-command.js';
import { type ItemOutcome, JobHandler, type JobItem, type RunningJob } from '../job/job-handler.js';
import { refuseUnapproved } from './approval-needed.js';

export type ConfigPart = Pick<PutConfigBody, 'settings' | 'security' | 'features'>;

/** The same part of the configuration for many, as a PUT of it would change it for one. */
@Injectable()
export class ChangeSettings extends JobHandler<ConfigPart> {
  readonly type = 'bulk.settings';

  constructor(
    private readonly log: TenantLog,
    private readonly history: TenantHistory,
    private readonly views: ConfigView,
    private readonly changes: ConfigChanges,
    private readonly holding: Holding,
  ) {
    super();
  }

  override async run(item: JobItem, job: RunningJob<ConfigPart>): Promise<ItemOutcome> {
    const tenantId = item.tenantId as string;
    const head = await this.history.head(tenantId);
    const [{ body: current }, { state }] = await Promise.all([this.views.at(tenantId, head), this.log.load(config, { tenant: tenantId })]);
    const planned = await this.changes.plan(tenantId, configChangeOf(job.params, current, state));
    await refuseUnapproved(this.holding, changeOf(planned.tenantEvents, planned.configEvents), 'settings');
    await this.changes.make(tenantId, planned, itemCommand(job, item));
    return { status: 'succeeded' };
  }
}
