import { Controller, Injectable } from '@nestjs/common';
import { type ApprovableCommand, getApprovalPolicies, putApprovalPolicies } from '@tenantry/contracts/config/approval-routes';
import { PLATFORM_LOG } from '@tenantry/contracts/ids';
import type { ApprovalPolicy } from '@tenantry/contracts/platform/events';
import type { CommandContext } from '@tenantry/contracts/route';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { Handles } from '@tenantry/messaging/handles';
import type { Call, Reply } from '@tenantry/messaging/rpc';
import { ApprovedCommand } from './approved-command.js';
import { Holding } from './holding.js';
import { demandOfChange, policies, setPolicies, setUnapproved } from './policies.js';

const DEFAULT_APPROVERS = 1;
const DEFAULT_EXPIRES_HOURS = 72;
const COMMAND = 'approval-policies';

@Controller()
export class PoliciesRpc {
  constructor(
    private readonly log: TenantLog,
    private readonly holding: Holding,
  ) {}

  @Handles(getApprovalPolicies)
  async get(): Reply<typeof getApprovalPolicies> {
    const { state, version, position } = await this.log.load(policies, { tenant: PLATFORM_LOG });
    // Before the first policies there is no version.
    if (version < 0) return { status: 200, body: { items: state } };
    return { status: 200, body: { items: state }, version, position: { tenantId: PLATFORM_LOG, position } };
  }

  /** Policies are no stronger than what it takes to change them: what asks for less waits as it would have had things wait. */
  @Handles(putApprovalPolicies)
  async put({ body, command }: Call<typeof putApprovalPolicies>): Reply<typeof putApprovalPolicies> {
    const items = body.items.map(({ approvers = DEFAULT_APPROVERS, expiresHours = DEFAULT_EXPIRES_HOURS, ...what }) => ({
      ...what,
      ...{ approvers, expiresHours },
    }));
    const before = await this.log.load(policies, { tenant: PLATFORM_LOG });
    const demand = demandOfChange(before.state, items);
    if (demand) {
      const what = { command: COMMAND, change: null, body: JSON.stringify({ items }) };
      // Made on these policies only: those that come meanwhile were not looked at.
      return this.holding.wait(PLATFORM_LOG, what, demand, { ...command, ifMatch: command.ifMatch ?? before.version }, before.version);
    }
    const { state, version, position } = await this.log.transact(policies, { tenant: PLATFORM_LOG, command }, setUnapproved(items));
    if (version < 0) return { status: 200, body: { items: state } };
    return { status: 200, body: { items: state }, version, position: { tenantId: PLATFORM_LOG, position } };
  }
}

@Injectable()
export class ApprovedPolicies extends ApprovedCommand {
  override readonly commands: readonly ApprovableCommand[] = [COMMAND];
  constructor(private readonly log: TenantLog) {
    super();
  }
  override async run(_tenantId: string, _command: ApprovableCommand, body: unknown, context: CommandContext): Promise<void> {
    const { items } = body as { items: ApprovalPolicy[] };
    await this.log.transact(policies, { tenant: PLATFORM_LOG, command: context }, setPolicies(items));
  }
}
