import { Controller } from '@nestjs/common';
import { DomainError } from '@tenantry/contracts/errors';
import { listMembers } from '@tenantry/contracts/identity/routes';
import type { RouteAnswer } from '@tenantry/contracts/route';
import { Keyring } from '@tenantry/crypto/keyring';
import { openedWith } from '@tenantry/crypto/revealed';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { Handles } from '@tenantry/messaging/handles';
import type { Call } from '@tenantry/messaging/rpc';
import { permits } from '@tenantry/service/authorize';
import { Tenants } from '@tenantry/tenancy/tenants';
import { asc, eq } from 'drizzle-orm';
import { requireTenant } from '../require-tenant.js';
import { identityMembers } from './members.projection.js';

/** More people than this are read by page, once there is a route with pages. */
const LIMIT = 1000;

@Controller()
export class ListMembersRpc {
  constructor(
    private readonly tenants: Tenants,
    private readonly log: TenantLog,
    private readonly keyring: Keyring,
  ) {}

  @Handles(listMembers)
  async handle({ tenantId, command }: Call<typeof listMembers>): Promise<RouteAnswer<typeof listMembers>> {
    const rows = await this.rows(tenantId);
    const emails = permits(command.principal.permissions, 'personal:read') ? await this.reveal(tenantId, rows) : new Map<string, string>();
    return {
      status: 200,
      body: {
        items: rows.map(({ memberId, role, status, invitedAt }) => ({
          id: memberId,
          email: emails.get(memberId) ?? null,
          role,
          status,
          invitedAt: new Date(invitedAt).toISOString(),
        })),
      },
    };
  }

  private async rows(tenantId: string) {
    try {
      return await this.tenants.withTenant(tenantId, ({ db }) =>
        db.select().from(identityMembers).where(eq(identityMembers.tenantId, tenantId)).orderBy(asc(identityMembers.memberId)).limit(LIMIT),
      );
    } catch (error) {
      if (!(error instanceof DomainError) || error.code !== 'placement.not_found') throw error;
      // A tenant that has no place yet has no members yet either.
      await requireTenant(this.log, tenantId);
      return [];
    }
  }

  /** Addresses by member; without those of people whose key was destroyed. */
  private async reveal(tenantId: string, rows: { memberId: string; email: string }[]): Promise<Map<string, string>> {
    const clear = await openedWith(
      this.keyring,
      tenantId,
      rows.map(({ email }) => email),
    );
    return new Map(rows.flatMap(({ memberId, email }) => (clear.has(email) ? [[memberId, clear.get(email) as string]] : [])));
  }
}
