import { type RegionalSetting, regionalSettings } from '@tenantry/contracts/config/known-settings';
import type { Setting } from '@tenantry/contracts/config/routes';
import type { TenantAt } from '@tenantry/contracts/tenant/bodies';
import type { Keyring } from '@tenantry/crypto/keyring';
import { permits } from '@tenantry/service/authorize';
import { settingView } from '../config/setting-view.js';
import { registered } from '../tenant/tenant.js';
import { tenantView } from '../tenant/tenant-view.js';
import type { Reader } from './present.js';
import type { Snapshot } from './snapshot.js';

/** The tenant of a moment, as it was answered then, and what its other streams said; of that, what the reader may see. */
export async function tenantAt(keyring: Keyring, tenantId: string, at: Snapshot, reader: Reader): Promise<TenantAt> {
  const may = (permission: string) => permits(reader.permissions, permission);
  const view = await tenantView(keyring, tenantId, registered(at.tenant), { version: at.tenantVersion, position: at.tenantPosition });
  const { billingEmail: _, ...subscription } = at.subscription ?? { billingEmail: undefined };
  return {
    ...view,
    settings: may('settings:read') ? await settingsAt(keyring, tenantId, at, reader.sensitive) : undefined,
    quotas: may('quota:read') ? Object.entries(at.quotas).map(([resource, quota]) => ({ resource, ...quota })) : undefined,
    subscription: may('billing:read') ? ('status' in subscription ? subscription : null) : undefined,
    domains: may('domain:read') ? Object.entries(at.domains).map(([host, domain]) => ({ host, ...domain })) : undefined,
  };
}

export async function settingsAt(keyring: Keyring, tenantId: string, at: Snapshot, sensitive: ReadonlySet<string>): Promise<Setting[]> {
  const owner = registered(at.tenant);
  const { initialized, settings } = at.config;
  const regional = Object.entries(initialized ? regionalSettings : {}).map(([key, { type, category }]) => ({
    ...{ key, value: owner[key as RegionalSetting], type, category, encrypted: false },
    updatedAt: at.regionalChanges[key] ?? owner.createdAt,
  }));
  const own = Object.values(settings).filter(({ key }) => !Object.hasOwn(regionalSettings, key));
  const views = own.map((one) => settingView(keyring, tenantId, one, one.encrypted || sensitive.has(one.key)));
  return [...regional, ...(await Promise.all(views))];
}
