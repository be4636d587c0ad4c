import { Injectable } from '@nestjs/common';
import { inviteAdmin, withdrawAdmin } from '@tenantry/contracts/identity/operations';
import { RpcClient } from '@tenantry/messaging/rpc';
import type { RegisteredTenant } from '../../tenant/tenant.js';
import { Step, type StepContext } from '../step.js';

/** Invites the first owner: the admin's address, else the billing address; with neither the step is skipped. */
@Injectable()
export class AdminStep extends Step {
  readonly name = 'admin';
  constructor(private readonly rpc: RpcClient) {
    super();
  }
  override skip(tenant: RegisteredTenant): boolean {
    return (tenant.adminEmail ?? tenant.billingEmail) === undefined;
  }
  async run({ tenantId, operationId, tenant }: StepContext): Promise<void> {
    const email = tenant.adminEmail ?? tenant.billingEmail;
    if (email === undefined) return;
    await this.rpc.call(inviteAdmin, { tenantId, operationId, email, tenantName: tenant.name, host: tenant.domain.host });
  }
  override async undo({ tenantId, operationId }: StepContext): Promise<void> {
    await this.rpc.call(withdrawAdmin, { tenantId, operationId });
  }
}
