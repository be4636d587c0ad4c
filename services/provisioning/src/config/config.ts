import { configEvents } from '@tenantry/contracts/config/events';
import type { EventOf } from '@tenantry/contracts/events';
import { aggregate } from '@tenantry/event-store/aggregate';

type ConfigEvent = EventOf<typeof configEvents>;
type Initialized = Extract<ConfigEvent, { type: 'SettingsInitialized' }>['data'];
export type SettingRecord = Initialized['settings'][number];

export interface Config {
  initialized: boolean;
  settings: Record<string, SettingRecord & { updatedAt: string }>;
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
        const entries = event.data.settings.map((setting) => [setting.key, { ...setting, updatedAt: event.recordedAt }] as const);
        return { initialized: true, settings: { ...state.settings, ...Object.fromEntries(entries) }, features: event.data.features };
      }
      default:
        return state;
    }
  },
});

export const initialize =
  (settings: SettingRecord[], features: Record<string, boolean>) =>
  (state: Config): ConfigEvent[] =>
    state.initialized ? [] : [{ type: 'SettingsInitialized', data: { settings, features } }];
