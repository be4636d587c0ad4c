import { Controller } from '@nestjs/common';
import type { StoredOf } from '@tenantry/contracts/catalogue';
import { listDomains } from '@tenantry/contracts/domain/routes';
import { DomainError } from '@tenantry/contracts/errors';
import type { RouteAnswer } from '@tenantry/contracts/route';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { Handles } from '@tenantry/messaging/handles';
import type { Call } from '@tenantry/messaging/rpc';
import { tenantCheckpoints } from '@tenantry/messaging/tables';
import { Tenants } from '@tenantry/tenancy/tenants';
import { and, eq } from 'drizzle-orm';
import { applied, type DomainRow, domainDomains, listTypes } from './domains.projection.js';

/**
 * The rows of the read model plus the events that it has not applied yet: one read of the log's tail makes the answer
 * right at once after a change, whichever process made it.
 */
@Controller()
export class ListDomainsRpc {
  constructor(
    private readonly tenants: Tenants,
    private readonly log: TenantLog,
  ) {}

  @Handles(listDomains)
  async handle({ tenantId }: Call<typeof listDomains>): Promise<RouteAnswer<typeof listDomains>> {
    const { rows, position } = await this.read(tenantId);
    const tail = await this.log.readLog(tenantId, position + 1, { types: listTypes });
    if (tail.head < 0) throw new DomainError('tenant.not_found');
    const items = applied(rows, tail.events as StoredOf<'DomainClaimed'>[]);
    items.sort(
      (a, b) => Number(b.isPrimary) - Number(a.isPrimary) || a.createdAt.localeCompare(b.createdAt) || a.host.localeCompare(b.host),
    );
    return {
      status: 200,
      body: {
        items: items.map(({ domainId, host, unicodeHost, type, status, isPrimary, ssl, records, createdAt }) => ({
          id: domainId,
          host,
          unicodeHost,
          type,
          status,
          primary: isPrimary,
          ssl,
          records,
          createdAt: new Date(createdAt).toISOString(),
        })),
      },
    };
  }

  /** Without a place yet there are no rows, and all is in the tail. */
  private async read(tenantId: string): Promise<{ rows: DomainRow[]; position: number }> {
    try {
      return await this.tenants.withTenant(tenantId, async ({ db }) => {
        // The checkpoint first: rows that are newer than it only mean that events are applied twice, to the same effect.
        const [checkpoint] = await db
          .select({ position: tenantCheckpoints.position })
          .from(tenantCheckpoints)
          .where(and(eq(tenantCheckpoints.tenantId, tenantId), eq(tenantCheckpoints.consumer, 'domain-ssl')));
        const rows = await db.select().from(domainDomains).where(eq(domainDomains.tenantId, tenantId));
        return { rows, position: checkpoint?.position ?? -1 };
      });
    } catch (error) {
      if (error instanceof DomainError && error.code === 'placement.not_found') return { rows: [], position: -1 };
      throw error;
    }
  }
}
