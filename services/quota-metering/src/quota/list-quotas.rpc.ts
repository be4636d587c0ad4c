import { Controller } from '@nestjs/common';
import { listQuotas } from '@tenantry/contracts/quota/routes';
import type { RouteAnswer } from '@tenantry/contracts/route';
import { Handles } from '@tenantry/messaging/handles';
import type { Call } from '@tenantry/messaging/rpc';
import { quotaView } from '../usage/usage.js';
import { UsageMeter } from '../usage/usage-meter.js';

@Controller()
export class ListQuotasRpc {
  constructor(private readonly meter: UsageMeter) {}

  @Handles(listQuotas)
  async handle({ tenantId }: Call<typeof listQuotas>): Promise<RouteAnswer<typeof listQuotas>> {
    return { status: 200, body: { items: (await this.meter.standings(tenantId)).map(quotaView) } };
  }
}
