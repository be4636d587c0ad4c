import { Injectable } from '@nestjs/common';
import { sendNotice } from '@tenantry/contracts/identity/operations';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { RpcClient } from '@tenantry/messaging/rpc';
import { itemCommand } from '../job/item-command.js';
import { type ItemOutcome, JobHandler, type JobItem, type RunningJob } from '../job/job-handler.js';
import { registered, tenant } from '../tenant/tenant.js';

export interface Notice {
  subject: string;
  text: string;
}

/** A mail to the tenant's admin, else to who is billed. */
@Injectable()
export class Notify extends JobHandler<Notice> {
  readonly type = 'bulk.notify';

  constructor(
    private readonly log: TenantLog,
    private readonly rpc: RpcClient,
  ) {
    super();
  }

  override async run(item: JobItem, job: RunningJob<Notice>): Promise<ItemOutcome> {
    const tenantId = item.tenantId as string;
    const { status, deletion, adminEmail, billingEmail } = registered((await this.log.load(tenant, { tenant: tenantId })).state);
    // Its addresses are being forgotten: a mail on its way would keep one.
    if (status === 'deleted' || deletion?.erasing)
      return { status: 'skipped', why: { code: 'tenant.deleted', detail: 'The tenant is being erased, or is gone.' } };
    const to = adminEmail ?? billingEmail;
    if (to === undefined)
      return { status: 'skipped', why: { code: 'tenant.no_contact', detail: 'The tenant has neither an admin nor a billing email.' } };
    const { subject, text } = job.params;
    await this.rpc.call(sendNotice, { id: itemCommand(job, item).id, tenantId, to, subject, text });
    return { status: 'succeeded' };
  }
}
