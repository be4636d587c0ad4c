import { Injectable } from '@nestjs/common';
import { secureTenant } from '@tenantry/contracts/identity/operations';
import { RpcClient } from '@tenantry/messaging/rpc';
import { Step, type StepContext } from '../step.js';

/** Keys and roles. They stay when the tenant fails: its log is encrypted with them. */
@Injectable()
export class SecureStep extends Step {
  readonly name = 'secure';
  constructor(private readonly rpc: RpcClient) {
    super();
  }
  async run({ tenantId, operationId, tenant }: StepContext): Promise<void> {
    await this.rpc.call(secureTenant, { tenantId, operationId, securityLevel: tenant.plan.securityLevel });
  }
}
