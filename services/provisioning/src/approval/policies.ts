import { Injectable } from '@nestjs/common';
import type { ApprovableCommand } from '@tenantry/contracts/config/approval-routes';
import type { ConfigChange } from '@tenantry/contracts/config/events';
import { isRegional, regionalSettings } from '@tenantry/contracts/config/known-settings';
import { DomainError } from '@tenantry/contracts/errors';
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

const isSame = (items: readonly ApprovalPolicy[], others: readonly ApprovalPolicy[]) => JSON.stringify(items) === JSON.stringify(others);

export const setPolicies =
  (items: ApprovalPolicy[]) =>
  (before: ApprovalPolicy[]): EventOf<typeof platformEvents>[] =>
    isSame(items, before) ? [] : [{ type: 'ApprovalPoliciesSet', data: { items, before } }];

/** @throws DomainError `approval.needed` where the policies that there are by now want others to approve it */
export const setUnapproved =
  (items: ApprovalPolicy[]) =>
  (before: ApprovalPolicy[]): EventOf<typeof platformEvents>[] => {
    if (demandOfChange(before, items))
      throw new DomainError('approval.needed', { detail: 'The policies were changed at the same moment: ask again.' });
    return setPolicies(items)(before);
  };

export interface Demand {
  approvers: number;
  expiresHours: number;
  /** Only named people. */
  named: boolean;
}

/** Said of a change by what is in it, not by how it came. */
const ofItsContent: ReadonlySet<ApprovableCommand> = new Set(['settings', 'features', 'plan', 'update']);

/** Other limits than the plan's are what another plan would be asked for: who guards plans guards them too. */
const withWhatItStandsFor = (command: ApprovableCommand): ApprovableCommand[] => (command === 'limits' ? ['limits', 'plan'] : [command]);

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
    ...(ofItsContent.has(command) ? [] : withWhatItStandsFor(command)),
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
  return strictest(speaking);
}

const strictest = (demands: readonly (Omit<Demand, 'named'> & { named?: boolean })[]): Demand | null =>
  demands.length === 0
    ? null
    : {
        approvers: Math.max(...demands.map(({ approvers }) => approvers)),
        expiresHours: Math.min(...demands.map(({ expiresHours }) => expiresHours)),
        named: demands.some(({ named }) => named),
      };

/** Whoever has to approve must have the time to, however short a policy is meant to wait. */
const MIN_EXPIRES_HOURS = 1;

/**
 * What policies demand of their own change: what is demanded of whatever would be demanded less of than before, or nothing any more, and of
 * a change of the policies. Null where neither is. Pure.
 */
export function demandOfChange(before: readonly ApprovalPolicy[], after: readonly ApprovalPolicy[]): Demand | null {
  if (isSame(before, after)) return null;
  const lost = touchable(before).flatMap((touched) => {
    const [was, is] = [demandOf(before, touched), demandOf(after, touched)];
    return was && isLess(is, was) ? [was] : [];
  });
  const ofPolicies = demandOf(before, { ...nothing, commands: new Set(['approval-policies']) });
  const demand = strictest([...lost, ...(ofPolicies ? [ofPolicies] : [])]);
  return demand && { ...demand, expiresHours: Math.max(demand.expiresHours, MIN_EXPIRES_HOURS) };
}

const isLess = (is: Demand | null, was: Demand): boolean =>
  is === null || is.approvers < was.approvers || is.expiresHours > was.expiresHours || (was.named && !is.named);

const nothing = { keys: new Set<string>(), categories: new Set<string>(), commands: new Set<string>() };
/** All that policies speak of, each alone: what a change touches is a union of these. Whatever changes a setting is `settings` too. */
const touchable = (items: readonly ApprovalPolicy[]): ReturnType<typeof touchedBy>[] =>
  items.flatMap(({ keys = [], categories = [], commands = [] }) => [
    ...keys.map((key) => ({ ...nothing, keys: new Set([key]), commands: new Set(['settings']) })),
    ...categories.map((category) => ({ ...nothing, categories: new Set<string>([category]), commands: new Set(['settings']) })),
    ...commands.map((command) => ({ ...nothing, commands: new Set<string>(withWhatItStandsFor(command as ApprovableCommand)) })),
  ]);

@Injectable()
export class Policies {
  constructor(private readonly log: TenantLog) {}

  /** Never remembered: a policy holds for the next request after it was set, in every replica. */
  async current(): Promise<ApprovalPolicy[]> {
    return (await this.log.load(policies, { tenant: PLATFORM_LOG })).state;
  }
}
