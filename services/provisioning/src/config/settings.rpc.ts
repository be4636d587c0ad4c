import { Controller } from '@nestjs/common';
import { getSetting, listSettings, type Setting } from '@tenantry/contracts/config/routes';
import { DomainError } from '@tenantry/contracts/errors';
import { Keyring } from '@tenantry/crypto/keyring';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { Handles } from '@tenantry/messaging/handles';
import type { Call, Reply } from '@tenantry/messaging/rpc';
import { type Config, config } from './config.js';

const MASKED = '********';

/** Settings, folded from the log: current right after a change. Sensitive ones are masked. */
@Controller()
export class SettingsRpc {
  constructor(
    private readonly log: TenantLog,
    private readonly keyring: Keyring,
  ) {}

  @Handles(listSettings)
  async list({ tenantId }: Call<typeof listSettings>): Reply<typeof listSettings> {
    const { state, version, position } = await this.existing(tenantId);
    const items = await Promise.all(Object.values(state.settings).map((setting) => this.view(tenantId, setting)));
    // Before the step `settings` has run there is no version that a change could be conditional on.
    return { status: 200, body: { items }, ...(version < 0 ? {} : { version, position: { tenantId, position } }) };
  }

  @Handles(getSetting)
  async get({ tenantId, params }: Call<typeof getSetting>): Reply<typeof getSetting> {
    const { state, version, position } = await this.existing(tenantId);
    const setting = Object.hasOwn(state.settings, params.key) ? state.settings[params.key] : undefined;
    if (!setting) throw new DomainError('settings.not_found', { detail: `There is no setting ${params.key}.` });
    return { status: 200, body: await this.view(tenantId, setting), version, position: { tenantId, position } };
  }

  private async existing(tenantId: string) {
    const found = await this.log.load(config, { tenant: tenantId });
    if (found.version >= 0) return found;
    const [head] = await this.log.heads({ tenantIds: [tenantId] });
    if (!head || head.position < 0) throw new DomainError('tenant.not_found');
    return found;
  }

  private async view(tenantId: string, setting: Config['settings'][string]): Promise<Setting> {
    const { key, type, category, encrypted, updatedAt } = setting;
    const value = encrypted ? MASKED : JSON.parse(await this.keyring.reveal(tenantId, setting.value));
    return { key, value, type, category, encrypted, updatedAt };
  }
}
