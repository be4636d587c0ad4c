import { Injectable } from '@nestjs/common';
import { Clock } from '@tenantry/contracts/clock';
import { derivedId } from '@tenantry/contracts/ids';
import type { CommandContext } from '@tenantry/contracts/route';
import type { DeletionBody } from '@tenantry/contracts/tenant/bodies';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import type { z } from 'zod';
import { OperationIndex } from '../operation/operation-index.js';
import { scheduleDeletion } from './deletion.js';
import { DELETION } from './deletion-operations.js';
import { Resellers } from './resellers.js';
import { tenant } from './tenant.js';

type Body = z.infer<typeof DeletionBody>;

/** The beginning of a deletion. */
@Injectable()
export class Deletions {
  constructor(
    private readonly log: TenantLog,
    private readonly operations: OperationIndex,
    private readonly resellers: Resellers,
    private readonly clock: Clock,
  ) {}

  /** What it would do, on the tenant as it is. @throws DomainError where it is refused */
  async plan(tenantId: string, body: Body, { id }: CommandContext) {
    const operationId = derivedId('operation', tenantId, 'deletion', id);
    const decide = scheduleDeletion({ ...body, cause: body.cause ?? ('manual' as const), operationId }, this.clock.now());
    const before = await this.log.load(tenant, { tenant: tenantId });
    return { operationId, decide, before, begins: decide(before.state).length > 0 };
  }

  async begin(tenantId: string, body: Body, command: CommandContext) {
    // Looked at first: who isn't a tenant, or goes already, gets no operation.
    const { operationId, decide, before, begins } = await this.plan(tenantId, body, command);
    if (begins) await this.resellers.requireNoChildren(tenantId);
    if (begins) await this.operations.add(operationId, tenantId, DELETION);
    return this.log.transact(tenant, { tenant: tenantId, command }, decide, before);
  }
}
