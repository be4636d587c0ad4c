import { Injectable } from '@nestjs/common';
import { DomainError, invalidField } from '@tenantry/contracts/errors';
import type { Principal } from '@tenantry/contracts/route';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { isReseller, tenant } from './tenant.js';

/** Which tenants have children, and who may act for them. */
@Injectable()
export class Resellers {
  constructor(private readonly log: TenantLog) {}

  /** The reseller whose credentials ask; null for the platform. @throws DomainError `auth.forbidden` for any other tenant */
  async asking({ tenantId }: Principal): Promise<string | null> {
    if (tenantId === undefined) return null;
    const { state } = await this.log.load(tenant, { tenant: tenantId });
    if (isReseller(state)) return tenantId;
    throw new DomainError('auth.forbidden', { detail: 'Only the platform, and tenants whose plan has reselling, reach tenants together' });
  }

  /**
   * The parent of a tenant that is to be: a reseller's own, or the one that the platform names.
   * @throws DomainError `auth.forbidden`; `request.invalid` where the one named is none, or the child's plan would make it a reseller too
   */
  async parentFor(principal: Principal, named: string | undefined, planFeatures: readonly string[]): Promise<string | undefined> {
    const own = await this.asking(principal);
    if (own !== null && named !== undefined && named !== own)
      throw invalidField('parentId', 'own', 'must be left out: what a reseller creates is its own child');
    const parentId = own ?? named;
    if (parentId === undefined) return undefined;
    if (own === null) await this.requireReseller(parentId);
    if (planFeatures.includes('reselling'))
      throw invalidField('plan', 'child_plan', 'must be a plan without reselling: a child cannot have children of its own');
    return parentId;
  }

  private async requireReseller(parentId: string): Promise<void> {
    const { state } = await this.log.load(tenant, { tenant: parentId });
    if (!isReseller(state)) throw invalidField('parentId', 'reseller', 'must be an active tenant whose plan has reselling');
  }
}
