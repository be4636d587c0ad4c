import { Controller } from '@nestjs/common';
import { getUsage } from '@tenantry/contracts/quota/routes';
import type { RouteAnswer } from '@tenantry/contracts/route';
import { Handles } from '@tenantry/messaging/handles';
import type { Call } from '@tenantry/messaging/rpc';
import { percentOf } from './usage.js';
import { UsageMeter } from './usage-meter.js';

@Controller()
export class GetUsageRpc {
  constructor(private readonly meter: UsageMeter) {}

  @Handles(getUsage)
  async handle({ tenantId }: Call<typeof getUsage>): Promise<RouteAnswer<typeof getUsage>> {
    const standings = await this.meter.standings(tenantId);
    const items = standings.map(({ kind: _kind, ...standing }) => ({ ...standing, percent: percentOf(standing.limit, standing.used) }));
    return { status: 200, body: { items } };
  }
}
