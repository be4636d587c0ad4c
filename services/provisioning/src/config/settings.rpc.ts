import { Controller } from '@nestjs/common';
import { isRegional, type RegionalSetting, regionalSettings } from '@tenantry/contracts/config/known-settings';
import { getSetting, listSettings, putSetting, readSecretKeys, removeSetting, type Setting } from '@tenantry/contracts/config/routes';
import { DomainError } from '@tenantry/contracts/errors';
import type { StoredEvent } from '@tenantry/contracts/events';
import type { CommandContext } from '@tenantry/contracts/route';
import { Keyring } from '@tenantry/crypto/keyring';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { Handles } from '@tenantry/messaging/handles';
import type { Call, Reply } from '@tenantry/messaging/rpc';
import type { z } from 'zod';
import { Holding } from '../approval/holding.js';
import { registered, tenant } from '../tenant/tenant.js';
import { nothingChanged } from './change.js';
import { type Config, config, type StoredSetting, secretKeys } from './config.js';
import { ConfigChanges } from './config-changes.js';
import { regionalView } from './regional-view.js';
import { settingFor } from './setting-input.js';
import { reveals, settingView } from './setting-view.js';

interface Before {
  state: Config;
  version: number;
  events: readonly StoredEvent[];
}

/** Settings, folded from the log: current right after a change. Sensitive ones are masked unless they are asked for; the regional ones are fields of the tenant. */
@Controller()
export class SettingsRpc {
  constructor(
    private readonly log: TenantLog,
    private readonly keyring: Keyring,
    private readonly changes: ConfigChanges,
    private readonly holding: Holding,
  ) {}

  @Handles(listSettings)
  async list({ tenantId, query, command }: Call<typeof listSettings>): Reply<typeof listSettings> {
    const reveal = reveals(query, command);
    const [{ state, position }, life] = await Promise.all([
      this.log.load(config, { tenant: tenantId }),
      this.log.load(tenant, { tenant: tenantId }),
    ]);
    const owner = registered(life.state);
    const own = Object.values(state.settings).filter(({ key }) => !isRegional(key));
    const items = await Promise.all(own.map((setting) => settingView(this.keyring, tenantId, setting, setting.encrypted && !reveal)));
    const regional = state.initialized
      ? (Object.keys(regionalSettings) as RegionalSetting[]).map((key) => regionalView(key, owner, life.events))
      : [];
    const asOf = Math.max(position, life.position);
    const wanted = ({ category }: Setting) => query.category === undefined || category === query.category;
    return { status: 200, body: { items: [...regional, ...items].filter(wanted) }, asOf, position: { tenantId, position: asOf } };
  }

  @Handles(readSecretKeys)
  async secretKeys({ tenantId }: z.infer<typeof readSecretKeys.input>): Promise<z.infer<typeof readSecretKeys.output>> {
    const { state } = await this.log.load(config, { tenant: tenantId });
    return { keys: [...secretKeys(state)] };
  }

  @Handles(getSetting)
  async get({ tenantId, params: { key }, query, command }: Call<typeof getSetting>): Reply<typeof getSetting> {
    const reveal = reveals(query, command);
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
    return answer(tenantId, await settingView(this.keyring, tenantId, setting, setting.encrypted && !reveal), found);
  }

  @Handles(putSetting)
  async put({ tenantId, params: { key }, body, command }: Call<typeof putSetting>): Reply<typeof putSetting> {
    if (isRegional(key)) {
      const { value } = settingFor(key, body, null);
      const planned = await this.changes.plan(tenantId, { ...nothingChanged, tenant: { [key]: JSON.parse(value) } });
      const hold = await this.holding.hold(tenantId, 'settings', planned, command);
      if (hold.held) return hold.held;
      const { tenant: done } = await this.changes.make(tenantId, hold.cleared, command);
      const { events } = await this.log.load(tenant, { tenant: tenantId });
      if (!done) throw new Error('a change of a field of the tenant made nothing of the tenant');
      const until = events.filter(({ streamVersion }) => streamVersion <= done.version);
      return answer(tenantId, regionalView(key, registered(done.state), until), done);
    }
    const before = await this.log.load(config, { tenant: tenantId });
    const as = creating(key, before, command);
    const setting = settingFor(key, body, settingOf(before.state, key));
    const planned = await this.changes.plan(tenantId, { ...nothingChanged, settings: [setting] });
    const hold = await this.holding.hold(tenantId, 'settings', planned, as);
    if (hold.held) return hold.held;
    const { config: done } = await this.changes.make(tenantId, hold.cleared, as);
    if (!done) throw new Error('a change of a setting made nothing of the configuration');
    return answer(tenantId, await settingView(this.keyring, tenantId, done.state.settings[key] as StoredSetting), done);
  }

  @Handles(removeSetting)
  async remove({ tenantId, params: { key }, command }: Call<typeof removeSetting>): Reply<typeof removeSetting> {
    const planned = await this.changes.plan(tenantId, { ...nothingChanged, removed: [{ key }] });
    const hold = await this.holding.hold(tenantId, 'settings', planned, command);
    if (hold.held) return hold.held;
    const { config: done } = await this.changes.make(tenantId, hold.cleared, command);
    if (!done) throw new Error('the removal of a setting made nothing of the configuration');
    const { version, position, events } = done;
    if (version < 0) return { status: 200, body: { key, removed: false } };
    return { status: 200, body: { key, removed: events.length > 0 }, version, position: { tenantId, position } };
  }
}

/**
 * Of two who create the same setting at once, one comes to a version that is another by then. A repeat gets what it made the first time.
 * @throws DomainError `precondition.failed` where it may only be created and is there
 */
function creating(key: string, { state, version, events }: Before, command: CommandContext): CommandContext {
  if (!command.onlyNew || events.some(({ metadata }) => metadata.commandId === command.id)) return command;
  if (settingOf(state, key) === null) return { ...command, ifMatch: command.ifMatch ?? version };
  throw new DomainError('precondition.failed', { detail: `There is a setting ${key} already.` });
}

const settingOf = ({ settings }: Config, key: string): StoredSetting | null =>
  Object.hasOwn(settings, key) ? (settings[key] ?? null) : null;

const answer = (tenantId: string, body: Setting, { version, position }: { version: number; position: number }) => ({
  ...{ status: 200, body, version },
  position: { tenantId, position },
});
