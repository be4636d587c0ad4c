import { configEvents } from '@tenantry/contracts/config/events';
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
  features: Record<string, boolean>;
}

/** The tenant's settings and features. Stream `config`. */
export const config = aggregate<Config, typeof configEvents>({
  stream: 'config',
  events: configEvents,
  initial: { initialized: false, settings: {}, features: {} },
  evolve: (state, event): Config => {
    switch (event.type) {
      case 'SettingsInitialized': {
        const entries = event.data.settings.map(
          (setting) => [setting.key, { ...setting, updatedAt: event.recordedAt, chosen: false }] as const,
        );
        return { initialized: true, settings: { ...state.settings, ...Object.fromEntries(entries) }, features: event.data.features };
      }
      case 'SettingChanged': {
        const { before: _, ...setting } = event.data;
        const chosen = event.metadata.actor.kind !== 'service';
        return { ...state, settings: { ...state.settings, [setting.key]: { ...setting, updatedAt: event.recordedAt, chosen } } };
      }
      default:
        event satisfies never;
        return state;
    }
  },
});

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
    const { [setting.key]: before, ...others } = state.settings;
    if (before && seen && before.updatedAt === seen.stored.updatedAt && isAs(setting, seen)) return [];
    if (!before && Object.keys(others).length >= MAX_SETTINGS)
      throw invalidField('key', 'too_many', `must be one of the ${MAX_SETTINGS} settings that there are: a tenant can't have more`);
    const stored = Object.values(others).reduce((sum, { value }) => sum + lengthOf(value), lengthOf(setting.value));
    if (stored > MAX_STORED_CHARACTERS)
      throw invalidField('value', 'too_big', `is too long: the settings of a tenant may have ${MAX_STORED_CHARACTERS} characters together`);
    const { key: _k, updatedAt: _u, chosen: _c, ...was } = before ?? { key: '', updatedAt: '', chosen: false };
    return [{ type: 'SettingChanged', data: { ...setting, ...(before ? { before: was as Omit<SettingRecord, 'key'> } : {}) } }];
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
