import { Controller } from '@nestjs/common';
import { Clock } from '@tenantry/contracts/clock';
import { derivedId } from '@tenantry/contracts/ids';
import { withdrawQuotas } from '@tenantry/contracts/quota/routes';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { Handles } from '@tenantry/messaging/handles';
import type { Caller } from '@tenantry/messaging/rpc';
import { operationCommand } from '@tenantry/service/operation-command';
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
  async handle(
    { tenantId, operationId }: z.infer<typeof withdrawQuotas.input>,
    caller: Caller,
  ): Promise<z.infer<typeof withdrawQuotas.output>> {
    const command = operationCommand(derivedId('quotas.withdraw', operationId), operationId, caller);
    const { state, position } = await this.log.transact(quotas, { tenant: tenantId, command }, withdraw(this.clock.now()));
    if (state.status === 'withdrawn') await this.ledger.withdraw(tenantId, position);
    return {};
  }
}
