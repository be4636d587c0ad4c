import type { Setting } from '@tenantry/contracts/config/routes';
import type { Keyring } from '@tenantry/crypto/keyring';
import type { StoredSetting } from './config.js';
import { MASKED } from './setting-input.js';

/** As readers see it: a sensitive value is masked, whoever reads. `hidden`: also one that was not sensitive yet. */
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
