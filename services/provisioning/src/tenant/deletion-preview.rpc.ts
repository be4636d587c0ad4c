import { Controller } from '@nestjs/common';
import { DomainError } from '@tenantry/contracts/errors';
import { previewDeletion } from '@tenantry/contracts/tenant/lifecycle-routes';
import { Handles } from '@tenantry/messaging/handles';
import type { Call, Reply } from '@tenantry/messaging/rpc';
import { Storage } from '@tenantry/tenancy/storage';
import { databaseBytes } from '@tenantry/tenancy/tenant-size';
import { Tenants } from '@tenantry/tenancy/tenants';
import type { Snapshot } from '../history/snapshot.js';
import { TenantHistory } from '../history/tenant-history.js';
import { living } from './tenant.js';

/** What would go: by the tenant's log, its files and its database. */
@Controller()
export class DeletionPreviewRpc {
  constructor(
    private readonly history: TenantHistory,
    private readonly tenants: Tenants,
    private readonly storage: Storage,
  ) {}

  @Handles(previewDeletion)
  async handle({ tenantId }: Call<typeof previewDeletion>): Reply<typeof previewDeletion> {
    const position = await this.history.head(tenantId);
    const [now, storageBytes, bytes] = await Promise.all([
      this.history.at(tenantId, { position }, position),
      this.storageBytes(tenantId),
      this.databaseBytes(tenantId),
    ]);
    living(now.tenant);
    const body = { tenantId, ...counted(now), storageBytes, databaseBytes: bytes, events: position + 1 };
    return { status: 200, body, asOf: position, position: { tenantId, position } };
  }

  private async storageBytes(tenantId: string): Promise<number> {
    let total = 0;
    for await (const { bytes } of this.storage.list(tenantId)) total += bytes;
    return total;
  }

  /** 0 where the tenant has no place, not yet or not any more. */
  private async databaseBytes(tenantId: string): Promise<number> {
    try {
      return await this.tenants.withTenant(tenantId, databaseBytes);
    } catch (error) {
      if (error instanceof DomainError && error.code === 'placement.not_found') return 0;
      throw error;
    }
  }
}

const counted = ({ members, domains, subscription }: Snapshot) => ({
  users: Object.values(members).filter(({ status }) => status !== 'removed').length,
  domains: Object.values(domains).filter(({ status }) => status !== 'released').length,
  subscriptions: subscription !== null && subscription.status !== 'cancelled' ? 1 : 0,
});
