import { Injectable } from '@nestjs/common';
import { TenantStore } from '@tenantry/service/tenant-store';
import { Storage } from '@tenantry/tenancy/storage';

@Injectable()
export class TenantFiles extends TenantStore {
  readonly store = 'files';
  readonly query = 'every key below the tenant’s prefix, listed; writes that have not ended';
  constructor(private readonly storage: Storage) {
    super();
  }
  override erase(tenantId: string): Promise<void> {
    return this.storage.release(tenantId);
  }
  override async count(tenantId: string): Promise<number> {
    let found = await this.storage.unfinished(tenantId);
    for await (const _ of this.storage.list(tenantId)) found++;
    return found;
  }
}
