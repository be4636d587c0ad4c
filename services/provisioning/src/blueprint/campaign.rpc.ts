import { Controller } from '@nestjs/common';
import { DomainError } from '@tenantry/contracts/errors';
import { type CampaignBody, startCampaign } from '@tenantry/contracts/platform/blueprints';
import { Handles } from '@tenantry/messaging/handles';
import type { Call, Reply } from '@tenantry/messaging/rpc';
import { Database } from '@tenantry/service/database';
import { stepsBetween } from '@tenantry/tenancy/blueprints';
import { jobId } from '../job/job.js';
import { Jobs } from '../job/jobs.js';
import { Operations } from '../operation/operations.js';
import { Blueprints } from './blueprints.js';
import type { CampaignParams } from './campaign.job.js';
import { planned, waves } from './campaign-plan.js';
import { CampaignTargets } from './campaign-targets.js';

const defaults = { concurrency: 2, lockTimeoutMs: 1_500, stopAfterFailures: 5 };

@Controller()
export class CampaignRpc {
  constructor(
    private readonly blueprints: Blueprints,
    private readonly targets: CampaignTargets,
    private readonly jobs: Jobs,
    private readonly operations: Operations,
    private readonly database: Database,
  ) {}

  @Handles(startCampaign)
  async handle({ params: { name }, body, command }: Call<typeof startCampaign>): Reply<typeof startCampaign> {
    await this.blueprints.findVersion(name, body.toVersion);
    const own = jobId(command.id);
    const other = await this.targets.running(name, own);
    if (other !== null && !body.dryRun)
      throw new DomainError('blueprint.campaign_running', { detail: `Wait for the operation ${other}, or cancel it.` });
    if (!body.dryRun) await this.targets.note(name, own);
    const { targets, items, upToDate } = await this.find(name, body);
    if (body.dryRun) return { status: 200, body: planned(targets, items, upToDate, await this.statements(name, body.toVersion)) };
    const { concurrency, lockTimeoutMs, stopAfterFailures } = { ...defaults, ...body };
    const operationId = await this.jobs.start(
      {
        type: 'blueprint-campaign',
        params: { blueprint: name, toVersion: body.toVersion, lockTimeoutMs } satisfies CampaignParams,
        items,
        concurrency,
        stopAfterFailures,
        afterCanary: body.pauseAfterCanary ? 'pause' : 'pause-if-failed',
      },
      command,
    );
    return this.operations.accepted(operationId);
  }

  private async find(name: string, body: CampaignBody) {
    const { supportsShared, status } = await this.blueprints.find(name);
    const { filter = {}, toVersion } = body;
    const isOnlyLevel = Object.keys(filter).every((key) => key === 'isolation');
    // app_shared is all shared tenants at once: it is meant where all of them are.
    const withShared = supportsShared && isOnlyLevel && (filter.isolation ?? 'shared') === 'shared';
    const [own, shared] = await Promise.all([this.targets.own(name, filter), withShared ? this.targets.shared(name) : []]);
    // A retired blueprint comes to nobody who doesn't have it.
    const isBehind = ({ version }: { version: number }) => version < toVersion && (version > 0 || status === 'active');
    const targets = [...own, ...shared].filter(isBehind);
    const items = waves(own.filter(isBehind), shared.filter(isBehind), body);
    return { targets, items, upToDate: own.length + shared.length - targets.length };
  }

  private async statements(name: string, version: number): Promise<string[]> {
    const steps = await stepsBetween(this.database.pool, name, version - 1, version);
    return steps.flatMap(({ statements }) => statements.map((sql) => sql.trim()));
  }
}
