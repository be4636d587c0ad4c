import { Injectable } from '@nestjs/common';
import { TenantStore } from '@tenantry/service/tenant-store';
import { KeyStore } from '../keys/key-store.js';
import { Broker } from './broker.js';

/** Messages hold what the log holds: what can be read of them is what there are keys for. They go by themselves after seven days. */
@Injectable()
export class EventStreamStore extends TenantStore {
  readonly store = 'broker: stream TENANTRY_EVENTS';
  readonly query = 'found: usable keys of the tenant, its own and its subjects’; kept: messages of its subjects in the stream';
  constructor(
    private readonly keys: KeyStore,
    private readonly broker: Broker,
  ) {
    super();
  }
  override async erase(): Promise<void> {}
  override count(tenantId: string): Promise<number> {
    return this.keys.countUsable(tenantId);
  }
  override kept(tenantId: string): Promise<number> {
    return this.broker.consumers.messages(`tenantry.events.${tenantId}.>`);
  }
}
