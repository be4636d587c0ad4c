import { z } from 'zod';
import { type EventOf, event, events, personal } from '../events.js';

export const settingTypes = ['string', 'number', 'boolean', 'json'] as const;
export const settingCategories = ['general', 'security', 'limits', 'billing', 'notifications'] as const;
export const SettingKey = z
  .string()
  .regex(/^[A-Za-z][A-Za-z0-9_.-]{0,254}$/, 'must begin with a letter and consist of at most 255 letters, digits and _ . -');
export const SettingValue = z.object({
  key: z.string(),
  /** The value as JSON text; encrypted like all that people type in. */
  value: personal(z.string()),
  type: z.enum(settingTypes),
  category: z.enum(settingCategories),
  /** Sensitive: readers get it masked unless they may see it. */
  encrypted: z.boolean(),
});

/** Stream `config`. Owner: provisioning. */
export const configEvents = events('config', {
  SettingsInitialized: event({
    version: 1,
    summary: 'The tenant got its first settings and features',
    subject: () => 'config',
    data: z.object({ settings: z.array(SettingValue), features: z.record(z.string(), z.boolean()) }),
  }),
  SettingChanged: event({
    version: 1,
    summary: 'A setting has another value, or is new',
    subject: () => 'config',
    /** `before` is not there where the setting is new. */
    data: SettingValue.extend({ before: SettingValue.omit({ key: true }).optional() }),
  }),
});
export type ConfigEvent = EventOf<typeof configEvents>;
