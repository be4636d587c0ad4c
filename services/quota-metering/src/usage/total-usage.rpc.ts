import { Controller } from '@nestjs/common';
import { Clock } from '@tenantry/contracts/clock';
import { totalUsage, usageShares } from '@tenantry/contracts/quota/routes';
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

  @Handles(usageShares)
  async shares({ after, limit }: z.infer<typeof usageShares.input>): Promise<z.infer<typeof usageShares.output>> {
    return { items: await this.ledger.shares(this.clock.now(), after, limit) };
  }
}
