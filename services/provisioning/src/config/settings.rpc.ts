import { Controller } from '@nestjs/common';
import { isRegional, type RegionalSetting, regionalSettings } from '@tenantry/contracts/config/known-settings';
import { getSetting, listSettings, putSetting, type Setting } from '@tenantry/contracts/config/routes';
import { DomainError } from '@tenantry/contracts/errors';
import { Keyring } from '@tenantry/crypto/keyring';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { Handles } from '@tenantry/messaging/handles';
import type { Call, Reply } from '@tenantry/messaging/rpc';
import { registered, tenant, update } from '../tenant/tenant.js';
import { type Config, change, config, type StoredSetting } from './config.js';
import { regionalView } from './regional-view.js';
import { settingFor } from './setting-input.js';
import { settingView } from './setting-view.js';

/** Settings, folded from the log: current right after a change. Sensitive ones are masked; the regional ones are fields of the tenant. */
@Controller()
export class SettingsRpc {
  constructor(
    private readonly log: TenantLog,
    private readonly keyring: Keyring,
  ) {}

  @Handles(listSettings)
  async list({ tenantId }: Call<typeof listSettings>): Reply<typeof listSettings> {
    const [{ state, position }, life] = await Promise.all([
      this.log.load(config, { tenant: tenantId }),
      this.log.load(tenant, { tenant: tenantId }),
    ]);
    const owner = registered(life.state);
    const own = Object.values(state.settings).filter(({ key }) => !isRegional(key));
    const items = await Promise.all(own.map((setting) => settingView(this.keyring, tenantId, setting)));
    const regional = state.initialized
      ? (Object.keys(regionalSettings) as RegionalSetting[]).map((key) => regionalView(key, owner, life.events))
      : [];
    const asOf = Math.max(position, life.position);
    return { status: 200, body: { items: [...regional, ...items] }, asOf, position: { tenantId, position: asOf } };
  }

  @Handles(getSetting)
  async get({ tenantId, params: { key } }: Call<typeof getSetting>): Reply<typeof getSetting> {
    if (isRegional(key)) {
      const life = await this.log.load(tenant, { tenant: tenantId });
      return answer(tenantId, regionalView(key, registered(life.state), life.events), life);
    }
    const found = await this.log.load(config, { tenant: tenantId });
    const setting = settingOf(found.state, key);
    if (!setting) {
      if (found.version < 0) registered((await this.log.load(tenant, { tenant: tenantId })).state);
      throw new DomainError('settings.not_found', { detail: `There is no setting ${key}.` });
    }
    return answer(tenantId, await settingView(this.keyring, tenantId, setting), found);
  }

  @Handles(putSetting)
  async put({ tenantId, params: { key }, body, command }: Call<typeof putSetting>): Reply<typeof putSetting> {
    if (isRegional(key)) {
      const { value } = settingFor(key, body, null);
      const done = await this.log.transact(tenant, { tenant: tenantId, command }, update({ [key]: JSON.parse(value) }, {}));
      const { events } = await this.log.load(tenant, { tenant: tenantId });
      const until = events.filter(({ streamVersion }) => streamVersion <= done.version);
      return answer(tenantId, regionalView(key, registered(done.state), until), done);
    }
    const before = await this.log.load(config, { tenant: tenantId });
    if (before.version < 0) registered((await this.log.load(tenant, { tenant: tenantId })).state);
    const stored = settingOf(before.state, key);
    const seen = stored && { stored, value: await this.keyring.reveal<string>(tenantId, stored.value) };
    const done = await this.log.transact(config, { tenant: tenantId, command }, change(settingFor(key, body, stored), seen), before);
    return answer(tenantId, await settingView(this.keyring, tenantId, done.state.settings[key] as StoredSetting), done);
  }
}

const settingOf = ({ settings }: Config, key: string): StoredSetting | null =>
  Object.hasOwn(settings, key) ? (settings[key] ?? null) : null;

const answer = (tenantId: string, body: Setting, { version, position }: { version: number; position: number }) => ({
  ...{ status: 200, body, version },
  position: { tenantId, position },
});
