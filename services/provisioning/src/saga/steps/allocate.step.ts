import { Injectable } from '@nestjs/common';
import { newStream, TenantLog } from '@tenantry/event-store/tenant-log';
import { placementFor } from '@tenantry/tenancy/names';
import { place, placement, unplace } from '../../placement/placement.js';
import { Step, type StepContext } from '../step.js';

/** Decides where the tenant lives. */
@Injectable()
export class AllocateStep extends Step {
  readonly name = 'allocate';
  constructor(private readonly log: TenantLog) {
    super();
  }
  async run({ tenantId, tenant, command }: StepContext): Promise<void> {
    const workerGroup = tenant.features['worker_group'] ? `tenant-${tenant.slug}` : 'shared';
    const { tenantId: _, ready: __, ...chosen } = placementFor(tenantId, tenant.isolation, { workerGroup });
    await this.log.transact(placement, { tenant: tenantId, command: command('place') }, place(chosen), newStream(placement));
  }
  override async undo({ tenantId, command }: StepContext): Promise<void> {
    await this.log.transact(placement, { tenant: tenantId, command: command('unplace') }, unplace);
  }
}
