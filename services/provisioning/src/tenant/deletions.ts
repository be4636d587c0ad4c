import { Injectable } from '@nestjs/common';
import { Clock } from '@tenantry/contracts/clock';
import { derivedId } from '@tenantry/contracts/ids';
import type { CommandContext } from '@tenantry/contracts/route';
import type { DeletionBody } from '@tenantry/contracts/tenant/bodies';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import type { z } from 'zod';
import { OperationIndex } from '../operation/operation-index.js';
import { systemCommand } from '../saga/system-command.js';
import { scheduleDeletion, undelete } from './deletion.js';
import { DELETION } from './deletion-operations.js';
import { hasChildren, Resellers } from './resellers.js';
import { tenant } from './tenant.js';

type Body = z.infer<typeof DeletionBody>;
type Decide = ReturnType<typeof scheduleDeletion>;
type Clear = (decide: Decide) => Promise<Decide>;

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
  async plan(tenantId: string, body: Body, { id }: CommandContext, clear: Clear = async (decide) => decide) {
    const operationId = derivedId('operation', tenantId, 'deletion', id);
    const decide = await clear(scheduleDeletion({ ...body, cause: body.cause ?? ('manual' as const), operationId }, this.clock.now()));
    const before = await this.log.load(tenant, { tenant: tenantId });
    return { operationId, decide, before, begins: decide(before.state).length > 0 };
  }

  /** @param clear refuses what others have to approve; without it that was approved */
  async begin(tenantId: string, body: Body, command: CommandContext, clear?: Clear) {
    // Looked at first: who isn't a tenant, or goes already, gets no operation.
    const { operationId, decide, before, begins } = await this.plan(tenantId, body, command, clear);
    if (begins) await this.resellers.requireNoChildren(tenantId);
    if (begins) await this.operations.add(operationId, tenantId, DELETION);
    const done = await this.log.transact(tenant, { tenant: tenantId, command }, decide, before);
    const children = begins ? await this.stopForChildren(tenantId, operationId) : 0;
    if (children > 0) throw hasChildren(children);
    return done;
  }

  /**
   * A child that was registered while the deletion began: the deletion is taken back. Whoever began it looks, and its grace before it is over, so
   * that it is seen although a process died in between.
   * @returns how many there are; 0 where nothing stands in its way
   */
  async stopForChildren(tenantId: string, operationId: string): Promise<number> {
    const children = await this.resellers.settleChildren(tenantId, operationId);
    if (children === 0) return 0;
    const command = systemCommand(derivedId('command', operationId, 'children'), { correlationId: operationId });
    const takeBack = undelete({ cause: 'manual', reason: 'A child was registered while the deletion began.' }, this.clock.now());
    await this.log.transact(tenant, { tenant: tenantId, command }, (state) =>
      state.status === 'deleting' && state.deletion?.operationId === operationId && !state.deletion.erasing ? takeBack(state) : [],
    );
    return children;
  }
}
