import { z } from 'zod';
import { type EventOf, event, events, personal } from '../events.js';

export const settingTypes = ['string', 'number', 'boolean', 'json'] as const;
export const settingCategories = ['general', 'security', 'limits', 'billing', 'notifications'] as const;
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
});
export type ConfigEvent = EventOf<typeof configEvents>;
