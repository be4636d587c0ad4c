import { Injectable } from '@nestjs/common';
import { DomainError, invalidField } from '@tenantry/contracts/errors';
import type { Principal } from '@tenantry/contracts/route';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { Database } from '@tenantry/service/database';
import { and, eq, ne } from 'drizzle-orm';
import { isReseller, tenant } from './tenant.js';
import { tenants } from './tenant-list.projection.js';

/** Which tenants have children, and who may act for them. */
@Injectable()
export class Resellers {
  constructor(
    private readonly log: TenantLog,
    private readonly database: Database,
  ) {}

  /** Ids of the children that are in the list of tenants, deleted ones left out. */
  async childrenOf(parentId: string): Promise<string[]> {
    const rows = await this.database.db
      .select({ id: tenants.tenantId })
      .from(tenants)
      .where(and(eq(tenants.parentId, parentId), ne(tenants.status, 'deleted')));
    return rows.map(({ id }) => id);
  }

  /** @throws DomainError `tenant.has_children` */
  async requireNoChildren(tenantId: string): Promise<void> {
    const { length } = await this.childrenOf(tenantId);
    if (length > 0)
      throw new DomainError('tenant.has_children', {
        detail: `The tenant is the reseller of ${length} others: delete those first.`,
        extensions: { children: length },
      });
  }

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
