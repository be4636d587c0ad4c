import type { ApprovableCommand } from '@tenantry/contracts/config/approval-routes';
import type { ConfigChange } from '@tenantry/contracts/config/events';
import { DomainError } from '@tenantry/contracts/errors';
import type { EventOf, EventSet } from '@tenantry/contracts/events';
import type { ApprovalPolicy } from '@tenantry/contracts/platform/events';
import type { Decision } from '@tenantry/event-store/aggregate';
import { changeOf } from '../config/change.js';
import type { Planned } from '../config/config-changes.js';
import { demandOf, touchedBy } from './policies.js';

/**
 * The decision, made without others. What it comes to is looked at where it is made: a look before it may have found nothing to change, or
 * something that no policy speaks of, and then somebody else was quicker. Pure.
 * @param commandOf what it does to such a state; null: nothing that policies speak of
 */
export const unapproved =
  <State, Set extends EventSet>(
    decide: Decision<State, Set>,
    items: readonly ApprovalPolicy[],
    commandOf: (state: State) => ApprovableCommand | null,
    changeIn: (events: EventOf<Set>[]) => ConfigChange,
  ): Decision<State, Set> =>
  (state) => {
    const events = decide(state);
    const command = events.length > 0 ? commandOf(state) : null;
    if (command !== null && demandOf(items, touchedBy(changeIn(events), command)))
      throw new DomainError('approval.needed', {
        detail: 'A policy has others approve this change: ask for it, or ask again, for the tenant alone.',
      });
    return events;
  };

/** Both parts of a change of the configuration. */
export const unapprovedPlan = (planned: Planned, items: readonly ApprovalPolicy[], command: ApprovableCommand): Planned => {
  const { ofTenant, ofConfig } = planned;
  const commandOf = () => command;
  return {
    ...planned,
    ofTenant: ofTenant && { ...ofTenant, decide: unapproved(ofTenant.decide, items, commandOf, (events) => changeOf(events, [])) },
    ofConfig: ofConfig && { ...ofConfig, decide: unapproved(ofConfig.decide, items, commandOf, (events) => changeOf([], events)) },
  };
};
