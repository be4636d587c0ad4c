import { Controller } from '@nestjs/common';
import { Clock } from '@tenantry/contracts/clock';
import { totalUsage } from '@tenantry/contracts/quota/routes';
import { Handles } from '@tenantry/messaging/handles';
import type { z } from 'zod';
import { Ledger } from './ledger.js';

@Controller()
export class TotalUsageRpc {
  constructor(
    private readonly ledger: Ledger,
    private readonly clock: Clock,
  ) {}

  @Handles(totalUsage)
  handle({ parentId }: z.infer<typeof totalUsage.input>): Promise<z.infer<typeof totalUsage.output>> {
    return this.ledger.totals(this.clock.now(), parentId);
  }
}
