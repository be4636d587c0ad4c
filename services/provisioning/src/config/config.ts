import { configEvents, type Rollout } from '@tenantry/contracts/config/events';
import { knownSettings } from '@tenantry/contracts/config/known-settings';
import { DomainError, invalidField } from '@tenantry/contracts/errors';
import type { EventOf } from '@tenantry/contracts/events';
import { aggregate } from '@tenantry/event-store/aggregate';

type ConfigEvent = EventOf<typeof configEvents>;
type Initialized = Extract<ConfigEvent, { type: 'SettingsInitialized' }>['data'];
export type SettingRecord = Initialized['settings'][number];
export interface StoredSetting extends SettingRecord {
  updatedAt: string;
  /** Somebody set it: a change of plan leaves it. */
  chosen: boolean;
}

export interface Config {
  initialized: boolean;
  settings: Record<string, StoredSetting>;
  /** Keys of sensitive settings that are no more: what they were stays hidden. */
  removedSecrets: string[];
  /** Flags that were set for the tenant, whatever its plan has. */
  features: Record<string, Rollout>;
  /** What flags are to be, from an instant on. */
  schedules: Record<string, Rollout & { at: string }>;
}

/** The tenant's settings and features. Stream `config`. */
export const config = aggregate<Config, typeof configEvents>({
  stream: 'config',
  events: configEvents,
  initial: { initialized: false, settings: {}, removedSecrets: [], features: {}, schedules: {} },
  evolve: (state, event): Config => {
    switch (event.type) {
      case 'SettingsInitialized': {
        const entries = event.data.settings.map(
          (setting) => [setting.key, { ...setting, updatedAt: event.recordedAt, chosen: false }] as const,
        );
        // Features of its beginning are the tenant's own.
        return { ...state, initialized: true, settings: { ...state.settings, ...Object.fromEntries(entries) } };
      }
      case 'SettingChanged': {
        const { before: _, ...setting } = event.data;
        const chosen = event.metadata.actor.kind !== 'service';
        return { ...state, settings: { ...state.settings, [setting.key]: { ...setting, updatedAt: event.recordedAt, chosen } } };
      }
      case 'SettingRemoved': {
        const { key, before } = event.data;
        const removedSecrets = before.encrypted ? [...new Set([...state.removedSecrets, key])] : state.removedSecrets;
        return { ...state, settings: without(state.settings, key), removedSecrets };
      }
      case 'FeatureChanged': {
        const { flag, enabled, percentage, scheduledAt } = event.data;
        const come = scheduledAt !== undefined && state.schedules[flag]?.at === scheduledAt;
        return {
          ...state,
          features: { ...state.features, [flag]: { enabled, percentage } },
          schedules: come ? without(state.schedules, flag) : state.schedules,
        };
      }
      case 'FeatureReset':
        return { ...state, features: without(state.features, event.data.flag) };
      case 'FeatureScheduled': {
        const { flag, enabled, percentage, at } = event.data;
        return { ...state, schedules: { ...state.schedules, [flag]: { enabled, percentage, at } } };
      }
      case 'FeatureScheduleCancelled':
        return { ...state, schedules: without(state.schedules, event.data.flag) };
      default:
        event satisfies never;
        return state;
    }
  },
});

export const without = <T>(record: Record<string, T>, key: string): Record<string, T> =>
  Object.fromEntries(Object.entries(record).filter(([name]) => name !== key));

/** Sensitive, or of a name under which something sensitive was kept. */
export const secretKeys = ({ settings, removedSecrets }: Config): ReadonlySet<string> =>
  new Set([...removedSecrets, ...Object.values(settings).flatMap(({ key, encrypted }) => (encrypted ? [key] : []))]);

export const initialize =
  (settings: SettingRecord[], features: Record<string, boolean>) =>
  (state: Config): ConfigEvent[] =>
    state.initialized ? [] : [{ type: 'SettingsInitialized', data: { settings, features } }];

/** A setting as it was read before the decision, with its value in clear: what is stored can't be compared. */
export interface Seen {
  stored: StoredSetting;
  /** JSON text. */
  value: string;
}
const MAX_SETTINGS = 1_000;
/** Of all stored values together, so that a tenant's settings fit into one answer. */
const MAX_STORED_CHARACTERS = 300_000;
const lengthOf = (value: SettingRecord['value']): number => (typeof value === 'string' ? value : value.enc).length;

/**
 * One setting as it is to be; `value` is JSON text in clear. Nothing where it is that already.
 * @throws DomainError `tenant.not_ready` before the first settings are there; `request.invalid` where there would be too many
 */
export const change =
  (setting: SettingRecord & { value: string }, seen: Seen | null) =>
  (state: Config): ConfigEvent[] => {
    if (!state.initialized)
      throw new DomainError('tenant.not_ready', { detail: 'The tenant has no settings yet: its provisioning makes the first ones.' });
    // A setting may be named like what every object has.
    const before = Object.hasOwn(state.settings, setting.key) ? state.settings[setting.key] : undefined;
    const others = without(state.settings, setting.key);
    if (before && seen && before.updatedAt === seen.stored.updatedAt && isAs(setting, seen)) return [];
    if (!before && Object.keys(others).length >= MAX_SETTINGS)
      throw invalidField('key', 'too_many', `must be one of the ${MAX_SETTINGS} settings that there are: a tenant can't have more`);
    const stored = Object.values(others).reduce((sum, { value }) => sum + lengthOf(value), lengthOf(setting.value));
    if (stored > MAX_STORED_CHARACTERS)
      throw invalidField('value', 'too_big', `is too long: the settings of a tenant may have ${MAX_STORED_CHARACTERS} characters together`);
    const { key: _k, updatedAt: _u, chosen: _c, ...was } = before ?? { key: '', updatedAt: '', chosen: false };
    return [{ type: 'SettingChanged', data: { ...setting, ...(before ? { before: was as Omit<SettingRecord, 'key'> } : {}) } }];
  };

/** The system reads known settings: they stay. @throws DomainError `request.invalid` */
export const removeSetting =
  (key: string) =>
  (state: Config): ConfigEvent[] => {
    if (Object.hasOwn(knownSettings, key))
      throw invalidField('key', 'fixed', `can't be removed: the system reads ${key}; give it another value`);
    if (!Object.hasOwn(state.settings, key)) return [];
    const { key: _k, updatedAt: _u, chosen: _c, ...before } = state.settings[key] as StoredSetting;
    return [{ type: 'SettingRemoved', data: { key, before } }];
  };

const isAs = (setting: SettingRecord, { stored, value }: Seen): boolean =>
  value === setting.value && stored.type === setting.type && stored.category === setting.category && stored.encrypted === setting.encrypted;

/** Settings that nobody chose, as the tenant's plan has them now. `seen`: those of them that there are. */
export const followPlan =
  (planned: SettingRecord[], seen: Record<string, Seen>) =>
  (state: Config): ConfigEvent[] =>
    planned.flatMap((setting) => {
      const stored = state.settings[setting.key];
      return stored && !stored.chosen ? change(setting as SettingRecord & { value: string }, seen[setting.key] ?? null)(state) : [];
    });
