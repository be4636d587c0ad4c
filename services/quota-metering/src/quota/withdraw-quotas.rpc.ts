import { Controller } from '@nestjs/common';
import { Clock } from '@tenantry/contracts/clock';
import { derivedId } from '@tenantry/contracts/ids';
import { withdrawQuotas } from '@tenantry/contracts/quota/routes';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { Handles } from '@tenantry/messaging/handles';
import type { z } from 'zod';
import { Ledger } from '../usage/ledger.js';
import { quotas, withdraw } from './quotas.js';

@Controller()
export class WithdrawQuotasRpc {
  constructor(
    private readonly log: TenantLog,
    private readonly ledger: Ledger,
    private readonly clock: Clock,
  ) {}

  @Handles(withdrawQuotas)
  async handle({ tenantId, operationId }: z.infer<typeof withdrawQuotas.input>): Promise<z.infer<typeof withdrawQuotas.output>> {
    const command = {
      id: derivedId('quotas.withdraw', operationId),
      actor: { kind: 'service' as const, id: 'quota-metering' },
      correlationId: operationId,
    };
    const { state, position } = await this.log.transact(quotas, { tenant: tenantId, command }, withdraw(this.clock.now()));
    if (state.status === 'withdrawn') await this.ledger.withdraw(tenantId, position);
    return {};
  }
}
