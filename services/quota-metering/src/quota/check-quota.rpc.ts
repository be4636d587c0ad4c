import { Controller } from '@nestjs/common';
import { checkQuota } from '@tenantry/contracts/quota/routes';
import type { RouteAnswer } from '@tenantry/contracts/route';
import { Handles } from '@tenantry/messaging/handles';
import type { Call } from '@tenantry/messaging/rpc';
import { TenantGate } from '@tenantry/service/tenant-gate';
import { allowance } from '../usage/usage.js';
import { UsageMeter } from '../usage/usage-meter.js';

@Controller()
export class CheckQuotaRpc {
  constructor(
    private readonly meter: UsageMeter,
    private readonly gate: TenantGate,
  ) {}

  @Handles(checkQuota)
  async handle({ tenantId, body }: Call<typeof checkQuota>): Promise<RouteAnswer<typeof checkQuota>> {
    await this.gate.pass(tenantId);
    return { status: 200, body: allowance(await this.meter.standing(tenantId, body.resource), body.amount ?? 1) };
  }
}
