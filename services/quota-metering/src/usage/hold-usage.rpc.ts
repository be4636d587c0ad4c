import { Controller } from '@nestjs/common';
import { DomainError } from '@tenantry/contracts/errors';
import { holdUsage } from '@tenantry/contracts/quota/routes';
import { Handles } from '@tenantry/messaging/handles';
import { Logger } from '@tenantry/observability/logger';
import type { z } from 'zod';
import { UsageMeter } from './usage-meter.js';

@Controller()
export class HoldUsageRpc {
  constructor(
    private readonly meter: UsageMeter,
    private readonly logger: Logger,
  ) {}

  @Handles(holdUsage)
  async handle({ tenantId, commandId, resource, amount }: z.infer<typeof holdUsage.input>): Promise<z.infer<typeof holdUsage.output>> {
    try {
      await this.meter.change(tenantId, { id: commandId, requestHash: `${resource} ${amount}` }, { resource, amount });
    } catch (error) {
      // Somebody has given back more than was theirs: there is nothing left that could be given back.
      if (!(amount < 0 && error instanceof DomainError && error.code === 'request.invalid')) throw error;
      this.logger.warn({ tenantId, resource, amount }, 'less is in use than is given back');
    }
    return {};
  }
}
