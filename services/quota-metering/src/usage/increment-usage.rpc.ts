import { Controller } from '@nestjs/common';
import { incrementUsage } from '@tenantry/contracts/quota/routes';
import type { RouteAnswer } from '@tenantry/contracts/route';
import { Handles } from '@tenantry/messaging/handles';
import type { Call } from '@tenantry/messaging/rpc';
import { TenantGate } from '@tenantry/service/tenant-gate';
import { UsageMeter } from './usage-meter.js';

/** Nothing is consumed by a suspended tenant, whoever reports it; what it holds can be given back. */
@Controller()
export class IncrementUsageRpc {
  constructor(
    private readonly meter: UsageMeter,
    private readonly gate: TenantGate,
  ) {}

  @Handles(incrementUsage)
  async handle({ tenantId, body, command }: Call<typeof incrementUsage>): Promise<RouteAnswer<typeof incrementUsage>> {
    await this.gate.pass(tenantId);
    const { resource, amount = 1, description } = body;
    return { status: 200, body: await this.meter.change(tenantId, command, { resource, amount, description }) };
  }
}
