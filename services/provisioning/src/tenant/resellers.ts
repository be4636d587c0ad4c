import { Injectable } from '@nestjs/common';
import { Clock } from '@tenantry/contracts/clock';
import { DomainError, invalidField } from '@tenantry/contracts/errors';
import { derivedId } from '@tenantry/contracts/ids';
import type { CommandContext, Principal } from '@tenantry/contracts/route';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { Database } from '@tenantry/service/database';
import { eq } from 'drizzle-orm';
import { systemCommand } from '../saga/system-command.js';
import { admit, admitted, children } from './children.js';
import { abandon, isReseller, type Tenant, tenant } from './tenant.js';
import { tenants } from './tenant-list.projection.js';

const AT_ONCE = 20;

/** Which tenants have children, and who may act for them. */
@Injectable()
export class Resellers {
  constructor(
    private readonly log: TenantLog,
    private readonly database: Database,
    private readonly clock: Clock,
  ) {}

  /**
   * Children that may be there, with their slugs: whoever was admitted by the log, whatever the list of tenants knows by now, and those from
   * before there were admissions. Left out are those that the list knows to be deleted, which is for ever.
   */
  async childrenOf(parentId: string): Promise<Map<string, string>> {
    // In this order: who is admitted after the log was read is seen by whoever reads the reseller's own stream later.
    const { state } = await this.log.load(children, { tenant: parentId, stream: children.stream });
    const listed = await this.database.db
      .select({ id: tenants.tenantId, slug: tenants.slug, status: tenants.status })
      .from(tenants)
      .where(eq(tenants.parentId, parentId));
    const found = admitted(state);
    for (const { id, slug, status } of listed)
      if (status === 'deleted') found.delete(id);
      else found.set(id, slug);
    return found;
  }

  /** @throws DomainError `tenant.has_children` */
  async requireNoChildren(tenantId: string): Promise<void> {
    const living = await this.living(tenantId, ([childId]) => this.log.load(tenant, { tenant: childId }));
    if (living > 0) throw hasChildren(living);
  }

  /**
   * How many children a reseller has whose deletion is on its log: nobody is admitted any more. Registrations that have not come yet are
   * abandoned, so that they come too late.
   */
  async settleChildren(parentId: string, deletionId: string): Promise<number> {
    return this.living(parentId, ([childId, slug]) => {
      const command = systemCommand(derivedId('command', 'settle-child', deletionId, childId), { correlationId: deletionId });
      return this.log.transact(tenant, { tenant: childId, command }, abandon(slug, this.clock.now()));
    });
  }

  /** Writes down that a tenant may be registered as a child, and looks again whether its parent is one. @throws DomainError as `parentFor` */
  async admit(parentId: string, child: { tenantId: string; slug: string }, request: CommandContext): Promise<void> {
    const command = { ...request, id: derivedId('command', 'admit-child', request.id), ifMatch: undefined };
    await this.log.transact(
      children,
      { tenant: parentId, stream: children.stream, command },
      admit(child.tenantId, child.slug, this.clock.now()),
    );
    if (request.principal.tenantId === undefined) await this.requireReseller(parentId);
    else await this.asking(request.principal);
  }

  private async living(parentId: string, look: (child: [id: string, slug: string]) => Promise<{ state: Tenant }>): Promise<number> {
    const found = [...(await this.childrenOf(parentId))];
    let living = 0;
    for (let next = 0; next < found.length; next += AT_ONCE) {
      const states = await Promise.all(found.slice(next, next + AT_ONCE).map(look));
      living += states.filter(({ state: { status } }) => status !== 'none' && status !== 'deleted').length;
    }
    return living;
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

export const hasChildren = (children: number) =>
  new DomainError('tenant.has_children', {
    detail: `The tenant is the reseller of ${children} others: delete those first.`,
    extensions: { children },
  });
