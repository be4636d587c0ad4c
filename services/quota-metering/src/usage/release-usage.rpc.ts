import { Controller } from '@nestjs/common';
import { releaseUsage } from '@tenantry/contracts/quota/routes';
import type { RouteAnswer } from '@tenantry/contracts/route';
import { Handles } from '@tenantry/messaging/handles';
import type { Call } from '@tenantry/messaging/rpc';
import { UsageMeter } from './usage-meter.js';

@Controller()
export class ReleaseUsageRpc {
  constructor(private readonly meter: UsageMeter) {}

  @Handles(releaseUsage)
  async handle({ tenantId, body, command }: Call<typeof releaseUsage>): Promise<RouteAnswer<typeof releaseUsage>> {
    const { resource, amount = 1, description } = body;
    return { status: 200, body: await this.meter.change(tenantId, command, { resource, amount: -amount, description }) };
  }
}
