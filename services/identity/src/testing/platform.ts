import { ManualClock } from '@tenantry/contracts/clock';
import { newId } from '@tenantry/contracts/ids';
import type { CommandContext } from '@tenantry/contracts/route';
import type { Keyring } from '@tenantry/crypto/keyring';
import { MemoryKeyring } from '@tenantry/crypto/memory-keyring';
import { MemoryEventStore } from '@tenantry/event-store/adapters/memory/memory-event-store';
import { DefaultTenantLog } from '@tenantry/event-store/tenant-log-default';
import type { Environment } from '@tenantry/service/environment';

/** A tenant log in memory and a clock that stands still. */
export function platform(keyring: Keyring = new MemoryKeyring()) {
  const store = new MemoryEventStore();
  const log = new DefaultTenantLog(store, keyring);
  const environment = (values: Partial<Environment['values']> = {}) =>
    ({ values: { TENANTRY_ENVIRONMENT: 'test', ...values } }) as Environment;
  /** All events of a tenant. */
  const events = async (tenantId: string) => (await log.readLog(tenantId, 0)).events;
  return { store, log, keyring, clock: new ManualClock(), environment, events };
}

/** A request by staff with these permissions. */
export const request = (permissions: string[] = ['*'], id = newId()): CommandContext => ({
  id,
  requestHash: '0'.repeat(64),
  principal: { kind: 'staff', id: 'staff-1', permissions },
});
