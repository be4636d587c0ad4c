import { Injectable } from '@nestjs/common';
import { Clock } from '@tenantry/contracts/clock';
import type { RouteAnswer } from '@tenantry/contracts/route';
import type { getConfig } from '@tenantry/contracts/tenant/routes';
import { Keyring } from '@tenantry/crypto/keyring';
import { featuresOf } from '../feature/feature.js';
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
export const operationsTier = (plan: string): string => operationsTiers[plan] ?? plan;

/** The configuration as a whole. Sensitive settings are masked, whoever reads. */
@Injectable()
export class ConfigView {
  constructor(
    private readonly history: TenantHistory,
    private readonly keyring: Keyring,
    private readonly clock: Clock,
  ) {}

  /** As the log has it up to its head. @throws DomainError `tenant.not_found` */
  async at(tenantId: string, head: number): Promise<RouteAnswer<typeof getConfig>> {
    const now = await this.history.at(tenantId, { position: head }, head);
    const owner = registered(now.tenant);
    const { name, plan, region, isolation } = owner;
    const settings = await settingsAt(this.keyring, tenantId, now, new Set());
    const of = (security: boolean) =>
      Object.fromEntries(settings.filter(({ category }) => (category === 'security') === security).map(({ key, value }) => [key, value]));
    const features = featuresOf(owner, now.config, this.clock.now()).map(({ flag, enabled }) => [flag, enabled]);
    return {
      status: 200,
      body: {
        ...{ tenantId, name, region, isolation },
        plan: { id: plan.id, version: plan.version },
        tier: operationsTier(plan.id),
        quotas: Object.fromEntries(Object.entries(now.quotas).map(([resource, { limit }]) => [resource, limit])),
        security: of(true),
        settings: of(false),
        features: Object.fromEntries(features),
      },
      asOf: now.position,
      position: { tenantId, position: now.position },
    };
  }
}
