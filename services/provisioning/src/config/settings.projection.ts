import { type RegionalSetting, regionalSettings } from '@tenantry/contracts/config/known-settings';
import { patch, projection, remove, upsert } from '@tenantry/messaging/projection';
import { boolean, jsonb, pgTable, primaryKey, timestamp, uuid, varchar } from 'drizzle-orm/pg-core';

/** In the tenant's schema; values stay encrypted. */
export const configSettings = pgTable(
  'config_settings',
  {
    tenantId: uuid('tenant_id').notNull(),
    key: varchar('key', { length: 255 }).notNull(),
    value: jsonb('value').notNull(),
    type: varchar('type', { length: 10 }).notNull(),
    category: varchar('category', { length: 20 }).notNull(),
    encrypted: boolean('encrypted').notNull(),
    updatedAt: timestamp('updated_at', { withTimezone: true, mode: 'string' }).notNull(),
  },
  (table) => [primaryKey({ columns: [table.tenantId, table.key] })],
);

/** One row per setting, for SQL readers. To rebuild, raise `version`. */
export const settingsProjection = projection({
  name: 'config-settings',
  version: 2,
  placement: 'tenant',
  tables: [configSettings],
  on: {
    SettingsInitialized: (event) =>
      event.data.settings.map((setting) => upsert(configSettings, { tenantId: event.tenantId, ...setting, updatedAt: event.recordedAt })),
    SettingChanged: ({ tenantId, recordedAt, data: { before: _, ...setting } }) =>
      upsert(configSettings, { tenantId, ...setting, updatedAt: recordedAt }),
    SettingRemoved: ({ tenantId, data: { key } }) => remove(configSettings, { tenantId, key }),
    // The regional settings are fields of the tenant.
    TenantUpdated: ({ tenantId, recordedAt, data }) =>
      Object.keys(regionalSettings).flatMap((key) => {
        const value = data[key as RegionalSetting];
        return value === undefined
          ? []
          : [patch(configSettings, { tenantId, key }, { value: JSON.stringify(value), updatedAt: recordedAt })];
      }),
  },
});
