import { Injectable } from '@nestjs/common';
import { Keyring } from '@tenantry/crypto/keyring';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { TenantStore } from '@tenantry/service/tenant-store';
import { KeyStore } from './key-store.js';

/** The keys of a tenant: without them its log, its messages on the broker and every backup of its rows say nothing personal any more. */
@Injectable()
export class TenantKeys extends TenantStore {
  readonly store = 'keys';
  readonly query =
    'rows of identity.tenant_keys and identity.subject_keys of the tenant: found those that still wrap a key, kept the others';
  constructor(
    private readonly keys: KeyStore,
    private readonly keyring: Keyring,
  ) {
    super();
  }
  override async erase(tenantId: string): Promise<void> {
    await this.keys.destroy(tenantId);
    this.keyring.forget(tenantId);
  }
  override count(tenantId: string): Promise<number> {
    return this.keys.countUsable(tenantId);
  }
  override kept(tenantId: string): Promise<number> {
    return this.keys.countDestroyed(tenantId);
  }
}

/** The log is never changed. What can be read of it is what there are keys for. */
@Injectable()
export class TenantLogStore extends TenantStore {
  readonly store = 'log';
  readonly query = 'found: usable keys of the tenant, its own and its subjects’; kept: events of its log';
  constructor(
    private readonly keys: KeyStore,
    private readonly log: TenantLog,
  ) {
    super();
  }
  override async erase(): Promise<void> {}
  override count(tenantId: string): Promise<number> {
    return this.keys.countUsable(tenantId);
  }
  override async kept(tenantId: string): Promise<number> {
    const [head] = await this.log.heads({ tenantIds: [tenantId] });
    return (head?.position ?? -1) + 1;
  }
}
