import { Controller } from '@nestjs/common';
import { listPlans } from '@tenantry/contracts/billing/routes';
import type { RouteAnswer } from '@tenantry/contracts/route';
import { Handles } from '@tenantry/messaging/handles';
import type { Call } from '@tenantry/messaging/rpc';
import { Database } from '@tenantry/service/database';
import { currentPlans } from './plans.projection.js';

@Controller()
export class ListPlansRpc {
  constructor(private readonly database: Database) {}

  @Handles(listPlans)
  async handle(_call: Call<typeof listPlans>): Promise<RouteAnswer<typeof listPlans>> {
    const items = (await currentPlans(this.database)).map(({ id, version, terms }) => ({ id, version, ...terms }));
    return { status: 200, body: { items } };
  }
}
