import { Injectable } from '@nestjs/common';
import { derivedId } from '@tenantry/contracts/ids';
import { Keyring } from '@tenantry/crypto/keyring';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { type Effect, EffectHandler } from '@tenantry/messaging/effects';
import { systemCommand } from '../saga/system-command.js';
import { tenant } from '../tenant/tenant.js';
import { config, followPlan, type Seen } from './config.js';
import { planSettings } from './initial-settings.js';
import type { FollowPlanSettings } from './plan-settings.process.js';

/**
 * Brings the settings that nobody chose, neither later nor when the tenant was created, to those of the plan that the tenant has now:
 * whichever of several changes runs last, the outcome is the same.
 */
@Injectable()
export class FollowPlanSettingsEffect extends EffectHandler<FollowPlanSettings> {
  override readonly effect = 'follow-plan-settings';
  constructor(
    private readonly log: TenantLog,
    private readonly keyring: Keyring,
  ) {
    super();
  }

  override async run({ id, tenantId, causationId, payload }: Effect<FollowPlanSettings>): Promise<void> {
    const [{ state: owner }, { state }] = await Promise.all([
      this.log.load(tenant, { tenant: tenantId }),
      this.log.load(config, { tenant: tenantId }),
    ]);
    if (owner.status === 'none') return;
    const atCreation = new Set(owner.settings.map(({ key }) => key));
    const planned = planSettings(owner.plan).filter(({ key }) => !atCreation.has(key));
    const seen = await Promise.all(
      planned.flatMap(({ key }) => {
        const stored = state.settings[key];
        return stored
          ? [this.keyring.reveal<string>(tenantId, stored.value).then((value): [string, Seen] => [key, { stored, value }])]
          : [];
      }),
    );
    const command = systemCommand(derivedId('settings.follow-plan', id), { ...payload, causationId });
    await this.log.transact(config, { tenant: tenantId, command }, followPlan(planned, Object.fromEntries(seen)));
  }
}
