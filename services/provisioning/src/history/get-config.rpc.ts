import { Controller } from '@nestjs/common';
import { getConfig } from '@tenantry/contracts/tenant/routes';
import { Keyring } from '@tenantry/crypto/keyring';
import { Handles } from '@tenantry/messaging/handles';
import type { Call, Reply } from '@tenantry/messaging/rpc';
import { registered } from '../tenant/tenant.js';
import { settingsAt } from './tenant-at.js';
import { TenantHistory } from './tenant-history.js';

/** The tiers that an operations guide of ours knows; another plan goes by its own name. */
const operationsTiers: Readonly<Record<string, string>> = {
  free: 'starter',
  professional: 'professional',
  business: 'professional',
  msp: 'enterprise',
};

/** From the log, with what other services said there: current up to their last event. */
@Controller()
export class GetConfigRpc {
  constructor(
    private readonly history: TenantHistory,
    private readonly keyring: Keyring,
  ) {}

  @Handles(getConfig)
  async handle({ tenantId }: Call<typeof getConfig>): Reply<typeof getConfig> {
    const head = await this.history.head(tenantId);
    const now = await this.history.at(tenantId, { position: head }, head);
    const { name, plan, region, isolation, features } = registered(now.tenant);
    const settings = await settingsAt(this.keyring, tenantId, now, new Set());
    const security = settings.filter(({ category }) => category === 'security').map(({ key, value }) => [key, value]);
    return {
      status: 200,
      body: {
        ...{ tenantId, name, region, isolation, features },
        plan: { id: plan.id, version: plan.version },
        tier: operationsTiers[plan.id] ?? plan.id,
        quotas: Object.fromEntries(Object.entries(now.quotas).map(([resource, { limit }]) => [resource, limit])),
        security: Object.fromEntries(security),
      },
      asOf: now.position,
      position: { tenantId, position: now.position },
    };
  }
}
