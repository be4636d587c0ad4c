import { Injectable } from '@nestjs/common';
import { Clock } from '@tenantry/contracts/clock';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { type RegisteredTenant, tenant as tenantAggregate } from '../../tenant/tenant.js';
import { activate } from '../../tenant/transitions.js';
import { Step, type StepContext } from '../step.js';

/** Opens the tenant, unless its configuration is to be reviewed first. */
@Injectable()
export class ActivateStep extends Step {
  readonly name = 'activate';
  constructor(
    private readonly log: TenantLog,
    private readonly clock: Clock,
  ) {
    super();
  }
  override skip(tenant: RegisteredTenant): boolean {
    return tenant.activation === 'review';
  }
  async run({ tenantId, operationId, life, command }: StepContext): Promise<void> {
    await this.log.transact(
      tenantAggregate,
      { tenant: tenantId, command: command('activate') },
      activate({ operationId, cause: 'provisioned' }, this.clock.now()),
      life,
    );
  }
}
