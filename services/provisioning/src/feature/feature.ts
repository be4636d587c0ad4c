import { createHash } from 'node:crypto';
import type { configEvents, Rollout } from '@tenantry/contracts/config/events';
import type { Feature } from '@tenantry/contracts/config/feature-routes';
import { DomainError, invalidField } from '@tenantry/contracts/errors';
import type { EventOf } from '@tenantry/contracts/events';
import { type Config, without } from '../config/config.js';

type ConfigEvent = EventOf<typeof configEvents>;
/** What the tenant has by its plan and since its creation. */
export interface Granted {
  features: Record<string, boolean>;
  plan: { features: readonly string[] };
}
const MAX_FLAGS = 500;
const same = (a: Rollout, b: Rollout): boolean => a.enabled === b.enabled && a.percentage === b.percentage;

/** Schedules that have come count at once, whether somebody has written that down or not. */
const due = ({ schedules }: Config, flag: string, now: string): (Rollout & { at: string }) | null => {
  const schedule = Object.hasOwn(schedules, flag) ? schedules[flag] : undefined;
  return schedule && Date.parse(schedule.at) <= Date.parse(now) ? schedule : null;
};

/** One flag as it stands. One that nobody knows is off, by every plan. */
export function featureOf(granted: Granted, config: Config, flag: string, now: string): Feature {
  const come = due(config, flag, now);
  const set = come ?? (Object.hasOwn(config.features, flag) ? config.features[flag] : undefined);
  const next = come || !Object.hasOwn(config.schedules, flag) ? undefined : config.schedules[flag];
  const own = Object.hasOwn(granted.features, flag) ? (granted.features[flag] as boolean) : false;
  const byPlan = granted.plan.features.includes(flag);
  return {
    flag,
    enabled: set?.enabled ?? own,
    percentage: set?.percentage ?? 100,
    source: set || own !== byPlan ? 'override' : 'plan',
    at: next?.at ?? null,
    scheduled: next ? { enabled: next.enabled, percentage: next.percentage } : null,
  };
}

export function featuresOf(granted: Granted, config: Config, now: string): Feature[] {
  const flags = new Set([
    ...granted.plan.features,
    ...Object.keys(granted.features),
    ...Object.keys(config.features),
    ...Object.keys(config.schedules),
  ]);
  return [...flags].sort().map((flag) => featureOf(granted, config, flag, now));
}

/**
 * Where a subject lies, from 0 to below 100: the first 48 bits of SHA-256 over tenant, flag and subject, as a fraction.
 * It depends on nothing else: who is in at 10 % is in at 20 %, and flags draw independently.
 */
export function drawOf(tenantId: string, flag: string, subject: string): number {
  const hash = createHash('sha256')
    .update(JSON.stringify([tenantId, flag, subject]))
    .digest();
  return (hash.readUIntBE(0, 6) / 2 ** 48) * 100;
}

export const isOn = ({ enabled, percentage, flag }: Feature, tenantId: string, subject: string): boolean =>
  enabled && drawOf(tenantId, flag, subject) < percentage;

/**
 * Now, or where `at` has not come yet, from then on; a schedule replaces the one before it, and stays when something is set at once.
 * One that has come is put on record first: it happened before, so it must not win over what is set after it.
 */
export const setFeature =
  (flag: string, wanted: Rollout & { at: string | null }, now: string) =>
  (state: Config): ConfigEvent[] => {
    if (!state.initialized) throw notReady();
    const come = due(state, flag, now);
    if (!come) return setNow(flag, wanted, now)(state);
    const { enabled, percentage } = come;
    const recorded = {
      ...state,
      features: { ...state.features, [flag]: { enabled, percentage } },
      schedules: without(state.schedules, flag),
    };
    return [arrival(state, flag, come), ...setNow(flag, wanted, now)(recorded)];
  };

const setNow =
  (flag: string, wanted: Rollout & { at: string | null }, now: string) =>
  (state: Config): ConfigEvent[] => {
    const { enabled, percentage, at } = wanted;
    const before = Object.hasOwn(state.features, flag) ? state.features[flag] : undefined;
    const known = before !== undefined || Object.hasOwn(state.schedules, flag);
    if (!known && new Set([...Object.keys(state.features), ...Object.keys(state.schedules)]).size >= MAX_FLAGS)
      throw invalidField('flag', 'too_many', `must be one of the ${MAX_FLAGS} flags that were set: a tenant can't have more`);
    if (at === null || Date.parse(at) <= Date.parse(now)) {
      return before && same(before, wanted)
        ? []
        : [{ type: 'FeatureChanged', data: { flag, enabled, percentage, ...(before ? { before } : {}) } }];
    }
    const old = Object.hasOwn(state.schedules, flag) ? state.schedules[flag] : undefined;
    if (old && same(old, wanted) && Date.parse(old.at) === Date.parse(at)) return [];
    return [{ type: 'FeatureScheduled', data: { flag, enabled, percentage, at, ...(old ? { before: old } : {}) } }];
  };

/** What was set for the tenant, and what is scheduled, goes. */
export const resetFeature =
  (flag: string) =>
  (state: Config): ConfigEvent[] => {
    const set = Object.hasOwn(state.features, flag) ? state.features[flag] : undefined;
    const schedule = Object.hasOwn(state.schedules, flag) ? state.schedules[flag] : undefined;
    return [
      ...(schedule ? [{ type: 'FeatureScheduleCancelled' as const, data: { flag, before: schedule } }] : []),
      ...(set ? [{ type: 'FeatureReset' as const, data: { flag, before: set } }] : []),
    ];
  };

/** Every schedule that has come, as changes. */
export const keepSchedules =
  (now: string) =>
  (state: Config): ConfigEvent[] =>
    Object.keys(state.schedules).flatMap((flag): ConfigEvent[] => {
      const come = due(state, flag, now);
      return come ? [arrival(state, flag, come)] : [];
    });

const arrival = ({ features }: Config, flag: string, { enabled, percentage, at }: Rollout & { at: string }): ConfigEvent => {
  const before = Object.hasOwn(features, flag) ? features[flag] : undefined;
  return { type: 'FeatureChanged', data: { flag, enabled, percentage, ...(before ? { before } : {}), scheduledAt: at } };
};

const notReady = () =>
  new DomainError('tenant.not_ready', { detail: 'The tenant has no configuration yet: its provisioning makes the first one.' });
