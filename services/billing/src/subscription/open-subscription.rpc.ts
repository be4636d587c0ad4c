import { Controller } from '@nestjs/common';
import { openSubscription } from '@tenantry/contracts/billing/routes';
import { derivedId } from '@tenantry/contracts/ids';
import { newStream, TenantLog } from '@tenantry/event-store/tenant-log';
import { Timers } from '@tenantry/messaging/effects';
import { Handles } from '@tenantry/messaging/handles';
import type { Caller } from '@tenantry/messaging/rpc';
import { faultPoint } from '@tenantry/observability/fault';
import { operationCommand } from '@tenantry/service/operation-command';
import type { z } from 'zod';
import { open, subscription } from './subscription.js';
import { TRIAL_END } from './trial-end.timer.js';

/** A process that dies between append and timer leaves a trial without its end: the saga's retry gets the same subscription and sets it. */
@Controller()
export class OpenSubscriptionRpc {
  constructor(
    private readonly log: TenantLog,
    private readonly timers: Timers,
  ) {}

  @Handles(openSubscription)
  async handle(input: z.infer<typeof openSubscription.input>, caller: Caller): Promise<z.infer<typeof openSubscription.output>> {
    const { tenantId, operationId } = input;
    const command = operationCommand(derivedId('subscription.open', operationId), operationId, caller);
    const { state } = await this.log.transact(subscription, { tenant: tenantId, command }, open(input), newStream(subscription));
    await faultPoint('open.done');
    // A decision leaves a subscription; the type can't say so.
    if (state.status === 'none') throw new Error(`subscription.open left ${tenantId} without one`);
    if (state.status === 'trialing') await this.timers.schedule(tenantId, TRIAL_END, state.trialEndsAt, {});
    await faultPoint('open.recorded');
    return { trialEndsAt: state.trialEndsAt, periodEnd: state.periodEnd };
  }
}
