import { Injectable } from '@nestjs/common';
import { Clock } from '@tenantry/contracts/clock';
import type { ApprovableCommand, ApprovalPending } from '@tenantry/contracts/config/approval-routes';
import type { ConfigChange } from '@tenantry/contracts/config/events';
import { DomainError } from '@tenantry/contracts/errors';
import { derivedId } from '@tenantry/contracts/ids';
import type { Answer, CommandContext } from '@tenantry/contracts/route';
import type { tenantEvents } from '@tenantry/contracts/tenant/events';
import type { Decision } from '@tenantry/event-store/aggregate';
import { newStream, TenantLog } from '@tenantry/event-store/tenant-log';
import { changeOf } from '../config/change.js';
import type { Planned } from '../config/config-changes.js';
import type { Tenant } from '../tenant/tenant.js';
import { approval, deciderOf, known, type Requested, request } from './approval.js';
import { ApprovalIndex } from './approval-index.js';
import { type Demand, demandOf, Policies, touchedBy } from './policies.js';
import { unapproved, unapprovedPlan } from './unapproved.js';

type Waiting = Required<Pick<Answer<ApprovalPending>, 'body' | 'location' | 'position'>> & { status: 202 };
const HOUR_MS = 3_600_000;

/** What a preview says of it. */
export const impactOf = ({ approvers, expiresHours }: Demand) => ({
  kind: 'approval' as const,
  detail: `${approvers} further people have to approve it within ${expiresHours} hours.`,
});

/** Where a policy asks for further people, a change waits for them instead of being made. */
@Injectable()
export class Holding {
  constructor(
    private readonly log: TenantLog,
    private readonly policies: Policies,
    private readonly index: ApprovalIndex,
    private readonly clock: Clock,
  ) {}

  /** What stands between a planned change and its being made; null where nothing does. */
  async demand(change: ConfigChange, command: ApprovableCommand): Promise<Demand | null> {
    return demandOf(await this.policies.current(), touchedBy(change, command));
  }

  /**
   * The answer 202 where the change has to wait. Else it is cleared: to be made as long as it comes to nothing that others have to approve,
   * also where there is nothing to make as things stand.
   * Its id comes from the command's, so that a repeated request doesn't wait twice.
   * @throws DomainError `precondition.failed` where the caller expects another version
   */
  async hold(
    tenantId: string,
    command: ApprovableCommand,
    planned: Planned,
    context: CommandContext,
  ): Promise<{ held: Waiting } | { held: null; cleared: Planned }> {
    const items = await this.policies.current();
    const change = changeOf(planned.tenantEvents, planned.configEvents);
    const isChange = planned.tenantEvents.length + planned.configEvents.length > 0;
    const demand = isChange ? demandOf(items, touchedBy(change, command)) : null;
    if (!demand) return { held: null, cleared: unapprovedPlan(planned, items, command) };
    const version = (planned.ofConfig ?? planned.ofTenant)?.before.version ?? -1;
    return { held: await this.wait(tenantId, { command, change, body: null }, demand, context, version) };
  }

  /** The change, to be made as long as it comes to nothing that others have to approve: nothing waits. */
  async cleared(planned: Planned, command: ApprovableCommand): Promise<Planned> {
    return unapprovedPlan(planned, await this.policies.current(), command);
  }

  /** As `cleared`, of a decision on a tenant's life. @param commandOf what it does to such a tenant; null: nothing that policies speak of */
  async clearedDecision(
    decide: Decision<Tenant, typeof tenantEvents>,
    commandOf: (state: Tenant) => ApprovableCommand | null,
  ): Promise<Decision<Tenant, typeof tenantEvents>> {
    return unapproved(decide, await this.policies.current(), commandOf, (events) => changeOf(events, []));
  }

  /** As `hold`, of what is no change of the configuration: `body` is what it is asked with. */
  async holdCommand(
    tenantId: string,
    command: ApprovableCommand,
    body: unknown,
    context: CommandContext,
    version: number,
  ): Promise<Waiting | null> {
    const demand = await this.demand(changeOf([], []), command);
    return demand && this.wait(tenantId, { command, change: null, body: JSON.stringify(body) }, demand, context, version);
  }

  /** As `holdCommand`, where it is known what is demanded. */
  async wait(
    tenantId: string,
    what: Pick<Requested, 'command' | 'change' | 'body'>,
    { approvers, expiresHours, named }: Demand,
    context: CommandContext,
    version: number,
  ): Promise<Waiting> {
    if (context.ifMatch !== undefined && context.ifMatch !== version)
      throw new DomainError('precondition.failed', { detail: `The resource is at version ${version}, not ${context.ifMatch}` });
    const approvalId = derivedId('approval', tenantId, context.id);
    await this.index.add(approvalId, tenantId);
    const nowMs = this.clock.nowMs();
    const { state, position } = await this.log.transact(
      approval,
      // What the caller expects is a version of what is to be changed: it is looked at again when it is.
      { tenant: tenantId, stream: `approval-${approvalId}`, command: { ...context, ifMatch: undefined } },
      request({
        ...{ approvalId, ...what, approvers, ...(named && { named }), ifMatch: context.ifMatch ?? null },
        person: deciderOf(context.principal).person,
        expiresAt: new Date(nowMs + expiresHours * HOUR_MS).toISOString(),
        requestedAt: this.clock.now(),
      }),
      newStream(approval),
    );
    const { status, expiresAt } = known(state);
    const url = `/api/v1/platform/approvals/${approvalId}`;
    return {
      status: 202,
      body: { approval: { id: approvalId, status, url, expiresAt } },
      location: url,
      position: { tenantId, position },
    };
  }
}
