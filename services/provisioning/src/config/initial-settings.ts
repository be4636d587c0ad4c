import type { PlanTerms } from '@tenantry/contracts/plans';
import type { Registration } from '../tenant/tenant.js';
import type { SettingRecord } from './config.js';

const setting = (key: string, value: unknown, category: SettingRecord['category'], encrypted = false): SettingRecord => ({
  key,
  value: JSON.stringify(value),
  type: typeof value === 'string' ? 'string' : typeof value === 'number' ? 'number' : typeof value === 'boolean' ? 'boolean' : 'json',
  category,
  encrypted,
});

const sessionTimeoutMinutes = { basic: 1440, standard: 480, advanced: 120, enterprise: 60 };

/** What follows from the plan. */
export const planSettings = ({ securityLevel, retentionDays }: Pick<PlanTerms, 'securityLevel' | 'retentionDays'>): SettingRecord[] => [
  setting('security_level', securityLevel, 'security'),
  setting('session_timeout_minutes', sessionTimeoutMinutes[securityLevel], 'security'),
  setting('retention_days', retentionDays, 'limits'),
];

/** What every tenant starts with; what its creator named comes on top. */
export function initialSettings(tenant: Registration): SettingRecord[] {
  const defaults = [
    setting('timezone', tenant.timezone, 'general'),
    setting('locale', tenant.locale, 'general'),
    setting('language', tenant.language, 'general'),
    setting('currency', tenant.currency, 'general'),
    setting('theme', tenant.theme, 'general'),
    setting('usage_alert_percents', [80, 95, 100], 'notifications'),
    ...planSettings(tenant.plan),
  ];
  const given = tenant.settings.map((entry) => ({ ...entry, encrypted: false }));
  return [...new Map([...defaults, ...given].map((entry) => [entry.key, entry])).values()];
}
