import { Controller } from '@nestjs/common';
import { DomainError } from '@tenantry/contracts/errors';
import { derivedId } from '@tenantry/contracts/ids';
import { moveTenant } from '@tenantry/contracts/tenant/routes';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { Handles } from '@tenantry/messaging/handles';
import type { Call, Reply } from '@tenantry/messaging/rpc';
import { placementFor } from '@tenantry/tenancy/names';
import { OperationIndex } from '../operation/operation-index.js';
import { Operations } from '../operation/operations.js';
import { registered, tenant as tenantAggregate } from '../tenant/tenant.js';
import { placement, startMove } from './placement.js';

/** States in which the tenant has a place and keeps it. */
const movable: ReadonlySet<string> = new Set(['trial', 'active', 'suspended', 'archived']);

@Controller()
export class MoveTenantRpc {
  constructor(
    private readonly log: TenantLog,
    private readonly index: OperationIndex,
    private readonly operations: Operations,
  ) {}

  @Handles(moveTenant)
  async handle({ tenantId, body, command }: Call<typeof moveTenant>): Reply<typeof moveTenant> {
    const { status } = registered((await this.log.load(tenantAggregate, { tenant: tenantId })).state);
    if (status === 'deleted') throw new DomainError('tenant.deleted');
    if (!movable.has(status))
      throw new DomainError('tenant.not_ready', {
        detail: `The tenant is ${status}; it can be moved once it is in use, and until it is deleted.`,
      });
    const { tenantId: _, ready: __, generation: ___, workerGroup: ____, ...chosen } = placementFor(tenantId, body.isolation);
    const operationId = derivedId('operation', 'move', command.id);
    await this.index.add(operationId, tenantId, 'move');
    await this.log.transact(placement, { tenant: tenantId, command }, startMove(operationId, chosen, body.keepSourceMinutes ?? 0));
    return this.operations.accepted(operationId);
  }
}
