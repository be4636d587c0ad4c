import { Controller } from '@nestjs/common';
import { trialEnd } from '@tenantry/contracts/billing/period';
import { derivedId } from '@tenantry/contracts/ids';
import { assignQuotas } from '@tenantry/contracts/quota/routes';
import { newStream, TenantLog } from '@tenantry/event-store/tenant-log';
import { Handles } from '@tenantry/messaging/handles';
import type { Caller } from '@tenantry/messaging/rpc';
import { faultPoint } from '@tenantry/observability/fault';
import { operationCommand } from '@tenantry/service/operation-command';
import type { z } from 'zod';
import { Ledger } from '../usage/ledger.js';
import { assign, poolsLimits, quotas } from './quotas.js';

/**
 * One append and one statement. A process that dies between the two leaves a tenant with its event and without rows: the saga's retry gets
 * the event of the first time and writes the rows, idempotently. Until then the tenant is `tenant.not_ready`, never unlimited.
 */
@Controller()
export class AssignQuotasRpc {
  constructor(
    private readonly log: TenantLog,
    private readonly ledger: Ledger,
  ) {}

  @Handles(assignQuotas)
  async handle(input: z.infer<typeof assignQuotas.input>, caller: Caller): Promise<z.infer<typeof assignQuotas.output>> {
    const { tenantId, operationId, plan } = input;
    const command = operationCommand(derivedId('quotas.assign', operationId), operationId, caller);
    const { state, position } = await this.log.transact(quotas, { tenant: tenantId, command }, assign(input), newStream(quotas));
    await faultPoint('assign.done');
    // A decision leaves quotas assigned; the type can't say so.
    if (state.status !== 'assigned') throw new Error(`quotas.assign left ${tenantId} ${state.status}`);
    await this.ledger.assign({
      tenantId,
      position,
      // The first period begins at the very start.
      cycle: {
        startsAt: state.periodStart,
        trialEndsAt: trialEnd(state.periodStart, plan.trialDays, state.timezone),
        timezone: state.timezone,
      },
      retentionDays: state.retentionDays,
      quotas: state.quotas,
      parentId: state.parentId ?? null,
      pools: poolsLimits(plan),
    });
    await faultPoint('assign.recorded');
    return { quotas: state.quotas.length };
  }
}
