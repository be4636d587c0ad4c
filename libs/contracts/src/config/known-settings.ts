import { z } from 'zod';
import { SecurityLevel } from '../plans.js';
import { Currency, Locale, TimeZone } from '../values.js';
import type { settingCategories, settingTypes } from './events.js';

export interface KnownSetting {
  type: (typeof settingTypes)[number];
  category: (typeof settingCategories)[number];
  value: z.ZodType;
}
const known = <const S extends Record<string, KnownSetting>>(settings: S): S => settings;

export const Theme = z.string().regex(/^[a-z0-9][a-z0-9_-]{0,49}$/i, 'must consist of letters, digits, hyphens and underscores');

/** Settings that are fields of the tenant itself: to change one is to update the tenant, and the other way round. */
export const regionalSettings = known({
  timezone: { type: 'string', category: 'general', value: TimeZone },
  locale: { type: 'string', category: 'general', value: Locale },
  language: { type: 'string', category: 'general', value: Locale },
  currency: { type: 'string', category: 'general', value: Currency },
  theme: { type: 'string', category: 'general', value: Theme },
});
export type RegionalSetting = keyof typeof regionalSettings;
export const isRegional = (key: string): key is RegionalSetting => Object.hasOwn(regionalSettings, key);

/** Settings that every tenant has and the system reads: type and category are fixed. Any other key is a custom setting. */
export const knownSettings: Readonly<Record<string, KnownSetting>> = known({
  ...regionalSettings,
  security_level: { type: 'string', category: 'security', value: SecurityLevel },
  session_timeout_minutes: { type: 'number', category: 'security', value: z.number().int().min(1).max(525_600) },
  usage_alert_percents: { type: 'json', category: 'notifications', value: z.array(z.number().int().min(1).max(1_000)).max(20) },
  retention_days: { type: 'number', category: 'limits', value: z.number().int().min(1).max(36_500) },
});
