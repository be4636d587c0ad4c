import { Injectable } from '@nestjs/common';
import { Clock } from '@tenantry/contracts/clock';
import type { ApprovableCommand } from '@tenantry/contracts/config/approval-routes';
import { DomainError } from '@tenantry/contracts/errors';
import { derivedId } from '@tenantry/contracts/ids';
import type { CommandContext } from '@tenantry/contracts/route';
import type { DeletionBody, TransitionBody } from '@tenantry/contracts/tenant/bodies';
import type { tenantEvents } from '@tenantry/contracts/tenant/events';
import type { Decision } from '@tenantry/event-store/aggregate';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import type { z } from 'zod';
import { ApprovedCommand } from '../approval/approved-command.js';
import { Deletions } from './deletions.js';
import { schedule, type TransitionCommand } from './scheduled-transitions.js';
import { type Tenant, tenant, type Why } from './tenant.js';
import { TenantTransitions } from './tenant-transitions.js';
import { asItsReseller } from './transitions.js';

export const whyOf = ({ reason, cause, resellerId }: Partial<Why>): Why => ({ cause: cause ?? 'manual', reason, resellerId });

/** Not where it is refused: that is for whoever makes it to say. */
export function wouldChange(decide: Decision<Tenant, typeof tenantEvents>, state: Tenant): boolean {
  try {
    return decide(state).length > 0;
  } catch (error) {
    if (error instanceof DomainError) return false;
    throw error;
  }
}

/** The commands of a tenant's life once others have approved them, as they would have been carried out at once. */
@Injectable()
export class ApprovedTransitions extends ApprovedCommand {
  override readonly commands = ['activate', 'suspend', 'reactivate', 'archive', 'restore', 'undelete', 'delete'] as const;

  constructor(
    private readonly log: TenantLog,
    private readonly transitions: TenantTransitions,
    private readonly deletions: Deletions,
    private readonly clock: Clock,
  ) {
    super();
  }

  override async run(tenantId: string, command: ApprovableCommand, body: unknown, context: CommandContext): Promise<void> {
    if (command === 'delete') {
      await this.deletions.begin(tenantId, body as z.infer<typeof DeletionBody>, context);
      return;
    }
    const name = command as TransitionCommand;
    const given = body as z.infer<typeof TransitionBody>;
    const why = whyOf(given);
    const decide =
      given.at === undefined
        ? await this.atOnce(tenantId, name, why, context.id)
        : schedule({ transitionId: derivedId('transition', context.id), command: name, at: given.at, ...why }, this.clock.now());
    await this.log.transact(tenant, { tenant: tenantId, command: context }, decide);
  }

  /** What a reseller asked for is still its own to ask for: the platform may have closed the tenant meanwhile. */
  private async atOnce(
    tenantId: string,
    name: TransitionCommand,
    why: Why,
    commandId: string,
  ): Promise<Decision<Tenant, typeof tenantEvents>> {
    const decide = await this.transitions.decision(tenantId, name, why, commandId);
    return why.resellerId === undefined ? decide : asItsReseller(why.resellerId, name, decide);
  }
}
