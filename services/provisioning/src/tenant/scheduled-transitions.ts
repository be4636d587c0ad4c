import { DomainError, invalidField } from '@tenantry/contracts/errors';
import type { EventOf } from '@tenantry/contracts/events';
import type { tenantEvents, transitionCommands } from '@tenantry/contracts/tenant/events';
import { living, type Tenant, type Why } from './tenant.js';
import { notAllowed } from './transitions.js';

type TenantEvent = EventOf<typeof tenantEvents>;
export type TransitionCommand = (typeof transitionCommands)[number];
type Decide = (state: Tenant) => TenantEvent[];

/** A tenant's state is folded whole for every command. */
const MAX_SCHEDULED = 50;

export interface Order extends Why {
  transitionId: string;
  command: TransitionCommand;
  at: string;
}

/** Whether the change is allowed is decided when its time comes. */
export const schedule =
  ({ transitionId, command, at, cause, reason }: Order, now: string): Decide =>
  (state) => {
    const { status, scheduled, deletion } = living(state);
    if (deletion?.erasing) throw notAllowed(status, 'changed any more; its erasure has begun');
    if (Date.parse(at) <= Date.parse(now)) throw invalidField('at', 'future', 'must lie in the future; leave it out to do it now');
    if (Object.keys(scheduled).length >= MAX_SCHEDULED)
      throw invalidField('at', 'too_many', `has ${MAX_SCHEDULED} scheduled transitions already; take one back first`);
    const instant = new Date(at).toISOString();
    return [{ type: 'TransitionScheduled', data: { transitionId, command, at: instant, cause, reason, scheduledAt: now } }];
  };

/** @throws DomainError `transition.not_found` */
export const unschedule =
  (transitionId: string, now: string): Decide =>
  (state) => {
    if (!(transitionId in living(state).scheduled)) throw new DomainError('transition.not_found');
    return [{ type: 'TransitionUnscheduled', data: { transitionId, unscheduledAt: now } }];
  };

/** The time has come. What is refused by then is recorded as such: nobody waits for an answer. */
export const runScheduled =
  (transitionId: string, decide: Decide, now: string): Decide =>
  (state) => {
    if (state.status === 'none') return [];
    const due = state.scheduled[transitionId];
    if (due === undefined) return [];
    const ended = (error: { code: string; detail: string } | null): TenantEvent => ({
      type: 'TransitionEnded',
      data: { transitionId, command: due.command, outcome: error ? 'refused' : 'done', error, endedAt: now },
    });
    try {
      // An archiving takes back what is scheduled, this one too where it isn't gone first.
      const done = decide({ ...state, scheduled: without(state.scheduled, transitionId) });
      return [ended(null), ...done];
    } catch (error) {
      if (!(error instanceof DomainError)) throw error;
      return [ended({ code: error.code, detail: error.detail })];
    }
  };

const without = <T>(record: Record<string, T>, key: string): Record<string, T> =>
  Object.fromEntries(Object.entries(record).filter(([name]) => name !== key));
