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

/** A flag, for how many of a tenant's subjects. */
export const Rollout = z.object({ enabled: z.boolean(), percentage: z.number().min(0).max(100) });
export type Rollout = z.infer<typeof Rollout>;
const ScheduledRollout = Rollout.extend({ at: z.string() });

/** Null: it is to go. */
const contact = personal(z.string()).nullable().optional();
/** Everything that one request wants of a tenant's configuration, as it is to be; what is not named stays. */
export const ConfigChange = z.object({
  /** `before`: as it was when it was asked for. */
  settings: z.array(SettingValue.extend({ before: SettingValue.omit({ key: true }).optional() })),
  /** Settings that are to go. */
  removed: z.array(z.object({ key: z.string(), before: SettingValue.omit({ key: true }) })),
  /** `at`: not before that instant. */
  features: z.array(Rollout.extend({ flag: z.string(), at: z.string().nullable() })),
  /** Flags that are to be again as the plan has them. */
  reset: z.array(z.string()),
  /** Of the tenant's plan: the version that was looked at. */
  planVersion: z.number().int().optional(),
  /** Fields of the tenant itself; `plan` by its id. */
  tenant: z.object({
    name: z.string().optional(),
    plan: z.string().optional(),
    timezone: z.string().optional(),
    locale: z.string().optional(),
    language: z.string().optional(),
    currency: z.string().optional(),
    theme: z.string().optional(),
    tags: z.array(z.string()).optional(),
    adminEmail: contact,
    billingEmail: contact,
    contactPhone: contact,
  }),
});
export type ConfigChange = z.infer<typeof ConfigChange>;

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
  SettingRemoved: event({
    version: 1,
    summary: 'A setting is no more',
    subject: () => 'config',
    data: z.object({ key: z.string(), before: SettingValue.omit({ key: true }) }),
  }),
  FeatureChanged: event({
    version: 1,
    summary: 'A feature flag is set for the tenant, whatever its plan has',
    /** `before` is what was set before, where something was. `scheduledAt`: the schedule that has come, where it was one. */
    data: Rollout.extend({ flag: z.string(), before: Rollout.optional(), scheduledAt: z.string().optional() }),
  }),
  FeatureReset: event({
    version: 1,
    summary: 'A feature flag is again as the plan of the tenant has it',
    data: z.object({ flag: z.string(), before: Rollout }),
  }),
  FeatureScheduled: event({
    version: 1,
    summary: 'A feature flag will be set at an instant',
    data: ScheduledRollout.extend({ flag: z.string(), before: ScheduledRollout.optional() }),
  }),
  FeatureScheduleCancelled: event({
    version: 1,
    summary: 'A feature flag will not be set as it was scheduled',
    data: z.object({ flag: z.string(), before: ScheduledRollout }),
  }),
});
export type ConfigEvent = EventOf<typeof configEvents>;
