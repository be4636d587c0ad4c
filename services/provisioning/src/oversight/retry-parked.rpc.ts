import { Controller } from '@nestjs/common';
import { DomainError } from '@tenantry/contracts/errors';
import { retryParked } from '@tenantry/contracts/platform/consumers';
import { Handles } from '@tenantry/messaging/handles';
import type { Call, Reply } from '@tenantry/messaging/rpc';
import { ParkedThings } from './parked.js';

@Controller()
export class RetryParkedRpc {
  constructor(private readonly parked: ParkedThings) {}

  @Handles(retryParked)
  async handle({ params }: Call<typeof retryParked>): Reply<typeof retryParked> {
    const item = await this.parked.settle(await this.parked.find(params.parkedId), null);
    if (!item) throw new DomainError('parked.not_found');
    return { status: 200, body: item };
  }
}
