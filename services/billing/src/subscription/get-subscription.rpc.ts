import { Controller } from '@nestjs/common';
import { getSubscription } from '@tenantry/contracts/billing/routes';
import { Clock } from '@tenantry/contracts/clock';
import { DomainError } from '@tenantry/contracts/errors';
import type { RouteAnswer } from '@tenantry/contracts/route';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { Handles } from '@tenantry/messaging/handles';
import type { Call } from '@tenantry/messaging/rpc';
import { subscription, subscriptionView } from './subscription.js';

/**
 * Answers from the log, not from the projection: the stream is a handful of events, the answer is current right after the subscription was
 * opened, whether or not the tenant's schema exists yet, and the running period follows from the clock, which no event moves.
 */
@Controller()
export class GetSubscriptionRpc {
  constructor(
    private readonly log: TenantLog,
    private readonly clock: Clock,
  ) {}

  @Handles(getSubscription)
  async handle({ tenantId }: Call<typeof getSubscription>): Promise<RouteAnswer<typeof getSubscription>> {
    const { state, version, position } = await this.log.load(subscription, { tenant: tenantId });
    if (state.status === 'none') {
      const [head] = await this.log.heads({ tenantIds: [tenantId] });
      if (!head || head.position < 0) throw new DomainError('tenant.not_found');
    }
    return { status: 200, body: subscriptionView(tenantId, state, this.clock.now()), version, position: { tenantId, position } };
  }
}
