import { Injectable } from '@nestjs/common';
import { cancelSubscription, openSubscription } from '@tenantry/contracts/billing/routes';
import { assignQuotas, withdrawQuotas } from '@tenantry/contracts/quota/routes';
import { RpcClient } from '@tenantry/messaging/rpc';
import { Step, type StepContext } from '../step.js';

/** The services that serve the tenant learn its plan: quotas and subscription. */
@Injectable()
export class ConfigureStep extends Step {
  readonly name = 'configure';
  constructor(private readonly rpc: RpcClient) {
    super();
  }
  async run({ tenantId, operationId, tenant }: StepContext): Promise<void> {
    const common = { tenantId, operationId, plan: tenant.plan, timezone: tenant.timezone, startsAt: tenant.createdAt };
    await Promise.all([
      this.rpc.call(assignQuotas, { ...common, overrides: tenant.limits, parentId: tenant.parentId }),
      this.rpc.call(openSubscription, { ...common, billingEmail: tenant.billingEmail ?? tenant.adminEmail }),
    ]);
  }
  override async undo({ tenantId, operationId }: StepContext): Promise<void> {
    await Promise.all([
      this.rpc.call(withdrawQuotas, { tenantId, operationId }),
      this.rpc.call(cancelSubscription, { tenantId, operationId, reason: 'The tenant could not be completed' }),
    ]);
  }
}
