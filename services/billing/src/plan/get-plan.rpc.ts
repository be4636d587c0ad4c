import { Controller } from '@nestjs/common';
import { getPlan } from '@tenantry/contracts/billing/routes';
import { DomainError } from '@tenantry/contracts/errors';
import { canonicalPlan } from '@tenantry/contracts/plans';
import type { RouteAnswer } from '@tenantry/contracts/route';
import { Handles } from '@tenantry/messaging/handles';
import type { Call } from '@tenantry/messaging/rpc';
import { Database } from '@tenantry/service/database';
import { findPlan } from './plans.projection.js';

@Controller()
export class GetPlanRpc {
  constructor(private readonly database: Database) {}

  @Handles(getPlan)
  async handle({ params, query }: Call<typeof getPlan>): Promise<RouteAnswer<typeof getPlan>> {
    const found = await findPlan(this.database, canonicalPlan(params.planId), query.version);
    if (!found) throw new DomainError('request.not_found', { detail: 'There is no such plan, or no such version of it.' });
    return { status: 200, body: { id: found.id, version: found.version, ...found.terms } };
  }
}
