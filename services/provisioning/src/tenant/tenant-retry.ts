import { Injectable } from '@nestjs/common';
import { Clock } from '@tenantry/contracts/clock';
import type { CommandContext } from '@tenantry/contracts/route';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { operationId } from '../operation/operation.js';
import { OperationIndex } from '../operation/operation-index.js';
import { type RegisteredTenant, registered, tenant } from './tenant.js';
import { retry } from './transitions.js';

/** A failed tenant is provisioned again, as an operation of its own. */
@Injectable()
export class TenantRetry {
  constructor(
    private readonly log: TenantLog,
    private readonly operations: OperationIndex,
    private readonly clock: Clock,
  ) {}

  async retry(
    tenantId: string,
    reason: string | undefined,
    command: CommandContext,
  ): Promise<{ state: RegisteredTenant; version: number; position: number }> {
    const operation = await this.nextOperation(tenantId, command.id);
    const done = await this.log.transact(tenant, { tenant: tenantId, command }, retry(operation, reason, this.clock.now()));
    return { state: registered(done.state), version: done.version, position: done.position };
  }

  /** The operation that a retry by this command begins; the same where it has begun already. */
  async nextOperation(tenantId: string, commandId: string): Promise<string> {
    const { events } = await this.log.load(tenant, { tenant: tenantId });
    const rounds = events.filter((event) => event.type === 'TenantProvisioningRetried' && event.metadata.commandId !== commandId).length;
    const operation = operationId(tenantId, rounds + 1);
    await this.operations.add(operation, tenantId, 'provisioning');
    return operation;
  }
}
