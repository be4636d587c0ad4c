import { Injectable } from '@nestjs/common';
import { overrideLimits } from '@tenantry/contracts/quota/limit-routes';
import type { Limits } from '@tenantry/contracts/quota/limits';
import { RpcClient } from '@tenantry/messaging/rpc';
import { Holding } from '../approval/holding.js';
import { changeOf } from '../config/change.js';
import { itemCommand } from '../job/item-command.js';
import { type ItemOutcome, JobHandler, type JobItem, type RunningJob } from '../job/job-handler.js';

/** The same limits for many; what each of them uses already stays. */
@Injectable()
export class ChangeLimits extends JobHandler<Limits> {
  readonly type = 'bulk.limits';

  constructor(
    private readonly rpc: RpcClient,
    private readonly holding: Holding,
  ) {
    super();
  }

  override async run(item: JobItem, job: RunningJob<Limits>): Promise<ItemOutcome> {
    const { id, actor, correlationId, causationId, traceparent } = itemCommand(job, item);
    const command = { id, actor, correlationId, causationId, traceparent };
    // What it would change is for their owner to say: nothing, where it was made before the process died.
    const unapproved = (await this.holding.demand(changeOf([], []), 'limits')) !== null;
    await this.rpc.call(overrideLimits, { tenantId: item.tenantId as string, limits: job.params, unapproved, command });
    return { status: 'succeeded' };
  }
}
