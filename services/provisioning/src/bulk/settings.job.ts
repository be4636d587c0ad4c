import { Injectable } from '@nestjs/common';
import { invalidField } from '@tenantry/contracts/errors';
import type { BulkSettings } from '@tenantry/contracts/platform/bulk';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { Holding } from '../approval/holding.js';
import { config } from '../config/config.js';
import { ConfigChanges } from '../config/config-changes.js';
import { configChangeOf } from '../config/config-input.js';
import { ConfigView } from '../history/config-view.js';
import { TenantHistory } from '../history/tenant-history.js';
import { itemCommand } from '../job/item-command.js';
import { type ItemOutcome, JobHandler, type JobItem, type NewItem, type RunningJob } from '../job/job-handler.js';
import type { NewJob } from '../job/jobs.js';

/** What each tenant gets, without who gets it first. */
export const configPart = ({ canary: _c, pauseAfterCanary: _p, ...part }: BulkSettings) => part;

/** The canary is a wave of its own, before all others. @throws DomainError `request.invalid` for one that isn't among the tenants */
export function settingsWaves(
  { canary, pauseAfterCanary = true }: BulkSettings,
  items: readonly NewItem[],
): Pick<NewJob, 'items' | 'afterCanary'> {
  if (canary === undefined) return { items: items.map((item) => ({ ...item, wave: 1 })) };
  const first = new Set(canary);
  const known = new Set(items.map(({ tenantId }) => tenantId));
  const stray = canary.findIndex((tenantId) => !known.has(tenantId));
  if (stray >= 0) throw invalidField(`params.canary.${stray}`, 'known_tenant', 'must be one of the tenants that it is for');
  return {
    items: items.map((item) => ({ ...item, wave: item.tenantId !== null && first.has(item.tenantId) ? 0 : 1 })),
    afterCanary: pauseAfterCanary ? 'pause' : 'pause-if-failed',
  };
}

/** The same part of the configuration for many, as a PUT of it would change it for one. */
@Injectable()
export class ChangeSettings extends JobHandler<BulkSettings> {
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

  override async run(item: JobItem, job: RunningJob<BulkSettings>): Promise<ItemOutcome> {
    const tenantId = item.tenantId as string;
    const head = await this.history.head(tenantId);
    const [{ body: current }, { state }] = await Promise.all([this.views.at(tenantId, head), this.log.load(config, { tenant: tenantId })]);
    const planned = await this.changes.plan(tenantId, configChangeOf(configPart(job.params), current, state));
    // What one may not do alone to one tenant, one may not do alone to many either.
    await this.changes.make(tenantId, await this.holding.cleared(planned, 'settings'), itemCommand(job, item));
    return { status: 'succeeded' };
  }
}
