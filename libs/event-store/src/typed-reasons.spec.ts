import { eventTypes } from '@tenantry/contracts/catalogue';
import type { Encrypted, EventDefinition } from '@tenantry/contracts/events';
import { newId, PLATFORM_LOG } from '@tenantry/contracts/ids';
import { platformEvents } from '@tenantry/contracts/platform/events';
import { MemoryKeyring } from '@tenantry/crypto/memory-keyring';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { MemoryEventStore } from './adapters/memory/memory-event-store.js';
import { aggregate } from './aggregate.js';
import { personalFields } from './personal-fields.js';
import { DefaultTenantLog } from './tenant-log-default.js';

/** Nobody typed these: they are the platform's own words, or why a step failed. */
const ownWords = [
  'MemberRemoved',
  'ApiKeyRevoked',
  'PlatformKeyRevoked',
  'EventSubscriptionRevoked',
  'SubscriptionCancelled',
  'TenantProvisioningFailed',
];
/** Typed for everybody to read: tenants are told them. */
const published = ['MaintenanceScheduled', 'MaintenanceStarted'];

describe('what somebody typed to say why', () => {
  const withReason = [...eventTypes].flatMap(([type, { data }]) => (data instanceof z.ZodObject && 'reason' in data.shape ? [type] : []));
  it('is there to be looked at', () => expect(withReason).toEqual(expect.arrayContaining(['JobPaused', 'ParkedSkipped', ...published])));

  it.each(withReason.filter((type) => ![...ownWords, ...published].includes(type)))('is personal in %s', (type) => {
    const { data, subject } = eventTypes.get(type) as unknown as EventDefinition<z.ZodObject<{ reason: z.ZodType }>>;
    expect(personalFields(data.shape.reason)).not.toBeNull();
    expect(subject).toBeDefined();
  });

  it("is encrypted on the platform's log, and read with its key", async () => {
    const keyring = new MemoryKeyring();
    const log = new DefaultTenantLog(new MemoryEventStore(), keyring);
    const paused = aggregate({ stream: 'operation', events: platformEvents, initial: null, evolve: (state: null) => state });
    const command = { id: newId(), actor: { kind: 'staff' as const, id: 'k-1' } };
    await log.transact(paused, { tenant: PLATFORM_LOG, stream: 'operation-1', command }, () => [
      { type: 'JobPaused', data: { operationId: 'o-1', cause: 'manual' as const, reason: 'Ms Huang asked me to', pausedAt: 'now' } },
    ]);
    const { events } = await log.readLog(PLATFORM_LOG, 0);
    expect(JSON.stringify(events)).not.toContain('Huang');
    const [{ reason }] = events.map(({ data }) => data) as [{ reason: Encrypted }];
    expect(await keyring.reveal(PLATFORM_LOG, reason)).toBe('Ms Huang asked me to');
  });
});
