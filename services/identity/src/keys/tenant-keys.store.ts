import { Injectable } from '@nestjs/common';
import { Keyring } from '@tenantry/crypto/keyring';
import { TenantStore } from '@tenantry/service/tenant-store';
import { KeyStore } from './key-store.js';

/** The keys of a tenant: without them its log, its messages on the broker and every backup of its rows say nothing personal any more. */
@Injectable()
export class TenantKeys extends TenantStore {
  readonly store = 'keys';
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
}

/** The log is never changed. What can be read of it is what there are keys for. */
@Injectable()
export class TenantLogStore extends TenantStore {
  readonly store: string = 'log';
  constructor(private readonly keys: KeyStore) {
    super();
  }
  override async erase(): Promise<void> {}
  override count(tenantId: string): Promise<number> {
    return this.keys.countUsable(tenantId);
  }
}

/** Messages hold what the log holds. They go by themselves after seven days. */
@Injectable()
export class EventStreamStore extends TenantLogStore {
  override readonly store = 'broker: stream TENANTRY_EVENTS';
}
