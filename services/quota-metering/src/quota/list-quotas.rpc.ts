import { Controller } from '@nestjs/common';
import { listQuotas, readStandings } from '@tenantry/contracts/quota/routes';
import type { RouteAnswer } from '@tenantry/contracts/route';
import { Handles } from '@tenantry/messaging/handles';
import type { Call } from '@tenantry/messaging/rpc';
import type { z } from 'zod';
import { quotaView } from '../usage/usage.js';
import { UsageMeter } from '../usage/usage-meter.js';

@Controller()
export class ListQuotasRpc {
  constructor(private readonly meter: UsageMeter) {}

  @Handles(listQuotas)
  async handle({ tenantId }: Call<typeof listQuotas>): Promise<RouteAnswer<typeof listQuotas>> {
    return { status: 200, body: { items: (await this.meter.standings(tenantId)).map(quotaView) } };
  }

  @Handles(readStandings)
  async read({ tenantId }: z.infer<typeof readStandings.input>): Promise<z.infer<typeof readStandings.output>> {
    return { items: (await this.meter.standings(tenantId)).map(quotaView) };
  }
}
