import { Controller } from '@nestjs/common';
import { cancelSubscription } from '@tenantry/contracts/billing/routes';
import { Clock } from '@tenantry/contracts/clock';
import { derivedId } from '@tenantry/contracts/ids';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { Timers } from '@tenantry/messaging/effects';
import { Handles } from '@tenantry/messaging/handles';
import type { Caller } from '@tenantry/messaging/rpc';
import { operationCommand } from '@tenantry/service/operation-command';
import type { z } from 'zod';
import { cancel, subscription } from './subscription.js';
import { TRIAL_END } from './trial-end.timer.js';

@Controller()
export class CancelSubscriptionRpc {
  constructor(
    private readonly log: TenantLog,
    private readonly timers: Timers,
    private readonly clock: Clock,
  ) {}

  @Handles(cancelSubscription)
  async handle(input: z.infer<typeof cancelSubscription.input>, caller: Caller): Promise<z.infer<typeof cancelSubscription.output>> {
    const { tenantId, operationId, reason } = input;
    const command = operationCommand(derivedId('subscription.cancel', operationId), operationId, caller);
    await this.log.transact(subscription, { tenant: tenantId, command }, cancel(reason, this.clock.now()));
    // Only tidiness: a timer that fires for a cancelled subscription changes nothing.
    await this.timers.cancel(tenantId, TRIAL_END);
    return {};
  }
}
