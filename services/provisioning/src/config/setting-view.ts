import type { Setting } from '@tenantry/contracts/config/routes';
import { DomainError } from '@tenantry/contracts/errors';
import type { CommandContext } from '@tenantry/contracts/route';
import type { Keyring } from '@tenantry/crypto/keyring';
import { permits } from '@tenantry/service/authorize';
import type { StoredSetting } from './config.js';
import { MASKED } from './setting-input.js';

/**
 * Whether sensitive values are asked for in clear: never by the way, and only by whoever may see them.
 * @throws DomainError `auth.forbidden`
 */
export function reveals(query: { reveal?: 'true' | 'false' }, { principal }: CommandContext): boolean {
  if (query.reveal !== 'true') return false;
  if (permits(principal.permissions, 'sensitive:read')) return true;
  throw new DomainError('auth.forbidden', {
    detail: 'Sensitive values in clear need the permission sensitive:read',
    errors: [{ field: 'reveal', rule: 'permission', message: 'needs the permission sensitive:read; leave it out to get them masked' }],
    extensions: { permission: 'sensitive:read' },
  });
}

/** As readers see it: a sensitive value is masked unless it is asked for. `hidden`: also one that was not sensitive yet. */
export async function settingView(
  keyring: Keyring,
  tenantId: string,
  setting: StoredSetting,
  hidden = setting.encrypted,
): Promise<Setting> {
  const { key, type, category, encrypted, updatedAt } = setting;
  const value = hidden ? MASKED : JSON.parse(await keyring.reveal<string>(tenantId, setting.value));
  return { key, value, type, category, encrypted, updatedAt };
}
