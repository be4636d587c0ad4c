import { Injectable } from '@nestjs/common';
import { newStream, TenantLog } from '@tenantry/event-store/tenant-log';
import { Database } from '@tenantry/service/database';
import { placementFor } from '@tenantry/tenancy/names';
import { giveBackAllRoom, takeRoom } from '@tenantry/tenancy/server-rooms';
import { place, placement, unplace } from '../../placement/placement.js';
import { Step, type StepContext } from '../step.js';

/** Decides where the tenant lives, and takes the room there. */
@Injectable()
export class AllocateStep extends Step {
  readonly name = 'allocate';
  constructor(
    private readonly log: TenantLog,
    private readonly database: Database,
  ) {
    super();
  }
  async run({ tenantId, tenant, command }: StepContext): Promise<void> {
    const workerGroup = tenant.features['worker_group'] ? `tenant-${tenant.slug}` : 'shared';
    const { server, database } = await takeRoom(this.database.pool, tenantId, tenant);
    const at = { server, workerGroup, ...(database === null ? {} : { database }) };
    const { tenantId: _, ready: __, ...chosen } = placementFor(tenantId, tenant.isolation, at);
    await this.log.transact(placement, { tenant: tenantId, command: command('place') }, place(chosen), newStream(placement));
  }
  override async undo({ tenantId, command }: StepContext): Promise<void> {
    await this.log.transact(placement, { tenant: tenantId, command: command('unplace') }, unplace);
    await giveBackAllRoom(this.database.pool, tenantId);
  }
}
