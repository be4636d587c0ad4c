import { type RegionalSetting, regionalSettings } from '@tenantry/contracts/config/known-settings';
import type { Setting } from '@tenantry/contracts/config/routes';
import type { StoredEvent } from '@tenantry/contracts/events';
import type { RegisteredTenant } from '../tenant/tenant.js';

/** A field of the tenant as a setting. `events`: those of the tenant's stream up to the state. */
export function regionalView(key: RegionalSetting, state: RegisteredTenant, events: readonly StoredEvent[]): Setting {
  const { type, category } = regionalSettings[key];
  const changed = events.findLast((event) => event.type === 'TenantUpdated' && Object.hasOwn(event.data as object, key));
  return { key, value: state[key], type, category, encrypted: false, updatedAt: changed?.recordedAt ?? state.createdAt };
}
