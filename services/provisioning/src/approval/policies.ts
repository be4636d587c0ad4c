import { Injectable } from '@nestjs/common';
import type { ApprovableCommand } from '@tenantry/contracts/config/approval-routes';
import type { ConfigChange } from '@tenantry/contracts/config/events';
import { isRegional, regionalSettings } from '@tenantry/contracts/config/known-settings';
import type { EventOf } from '@tenantry/contracts/events';
import { PLATFORM_LOG } from '@tenantry/contracts/ids';
import { type ApprovalPolicy, platformEvents } from '@tenantry/contracts/platform/events';
import { aggregate } from '@tenantry/event-store/aggregate';
import { TenantLog } from '@tenantry/event-store/tenant-log';

/** Which changes need further people: on the stream `approval-policies` of the platform's log. */
export const policies = aggregate<ApprovalPolicy[], typeof platformEvents>({
  stream: 'approval-policies',
  events: platformEvents,
  initial: [],
  evolve: (state, event) => (event.type === 'ApprovalPoliciesSet' ? event.data.items : state),
});

export const setPolicies =
  (items: ApprovalPolicy[]) =>
  (before: ApprovalPolicy[]): EventOf<typeof platformEvents>[] =>
    JSON.stringify(items) === JSON.stringify(before) ? [] : [{ type: 'ApprovalPoliciesSet', data: { items, before } }];

export interface Demand {
  approvers: number;
  expiresHours: number;
}

/** Said of a change by what is in it, not by how it came. */
const ofItsContent: ReadonlySet<ApprovableCommand> = new Set(['settings', 'features', 'plan', 'update']);

/** What a change touches: keys and categories of its settings, before and after, and what it does, whichever request it came by. */
export function touchedBy(change: ConfigChange, command: ApprovableCommand) {
  const regional = Object.keys(change.tenant).filter(isRegional);
  const keys = new Set([...change.settings, ...change.removed].map(({ key }) => key).concat(regional));
  const categories = new Set<string>([
    ...change.settings.flatMap(({ category, before }) => [category, ...(before ? [before.category] : [])]),
    ...change.removed.map(({ before }) => before.category),
    ...regional.map((key) => regionalSettings[key].category),
  ]);
  const commands = new Set<string>([
    ...(ofItsContent.has(command) ? [] : [command]),
    ...(keys.size > 0 ? ['settings'] : []),
    ...(change.features.length + change.reset.length > 0 ? ['features'] : []),
    ...(change.tenant.plan === undefined ? [] : ['plan']),
    ...(Object.keys(change.tenant).some((field) => field !== 'plan' && !isRegional(field)) ? ['update'] : []),
  ]);
  return { keys, categories, commands };
}

/** The strictest of the policies that speak of it; null where none does. Pure. */
export function demandOf(items: readonly ApprovalPolicy[], { keys, categories, commands }: ReturnType<typeof touchedBy>): Demand | null {
  const speaking = items.filter(
    (policy) =>
      policy.keys?.some((key) => keys.has(key)) ||
      policy.categories?.some((category) => categories.has(category)) ||
      policy.commands?.some((command) => commands.has(command)),
  );
  if (speaking.length === 0) return null;
  return {
    approvers: Math.max(...speaking.map(({ approvers }) => approvers)),
    expiresHours: Math.min(...speaking.map(({ expiresHours }) => expiresHours)),
  };
}

@Injectable()
export class Policies {
  constructor(private readonly log: TenantLog) {}

  /** Never remembered: a policy holds for the next request after it was set, in every replica. */
  async current(): Promise<ApprovalPolicy[]> {
    return (await this.log.load(policies, { tenant: PLATFORM_LOG })).state;
  }
}
