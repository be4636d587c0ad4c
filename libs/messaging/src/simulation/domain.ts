import { DomainError } from '@tenantry/contracts/errors';
import type { EventOf } from '@tenantry/contracts/events';
import { tenantEvents } from '@tenantry/contracts/tenant/events';
import { aggregate } from '@tenantry/event-store/aggregate';
import { bigint, integer, pgTable, primaryKey, uuid, varchar } from 'drizzle-orm/pg-core';
import { add, effect, patch, processManager, projection, upsert } from '../projection.js';

type TenantEvent = EventOf<typeof tenantEvents>;
export interface Account {
  entries: number;
  settled: string[];
}

/** A small domain on real events: an account counts its entries (`attempt`), every third one is charged at a provider. Streams `account-<n>`, `charge-<id>`. */
export const account = aggregate<Account, typeof tenantEvents>({
  stream: 'account',
  events: tenantEvents,
  initial: { entries: 0, settled: [] },
  evolve: (state, event) => {
    switch (event.type) {
      case 'ProvisioningStepCompleted':
        return { ...state, entries: event.data.attempt };
      case 'TenantProvisioned':
        return { ...state, settled: [...state.settled, event.data.operationId] };
      default:
        return state;
    }
  },
});

export const limit = 40;

const entry = (attempt: number): TenantEvent => ({
  type: 'ProvisioningStepCompleted',
  data: { operationId: 'simulated', step: 'register', attempt, startedAt: '2026-01-01T00:00:00Z', durationMs: 0, skipped: false },
});

/** Up to `limit` entries; refused where they would be more. */
export const enter =
  (count: number) =>
  (state: Account): TenantEvent[] => {
    if (state.entries + count > limit) throw new DomainError('quota.exceeded');
    return Array.from({ length: count }, (_, index) => entry(state.entries + 1 + index));
  };

/** What the provider said comes back as a command; a second time it changes nothing. */
export const settle =
  (key: string) =>
  (state: Account): TenantEvent[] =>
    state.settled.includes(key) ? [] : [{ type: 'TenantProvisioned', data: { operationId: key, provisionedAt: '2026-01-01T00:00:00Z' } }];

const counts = (name: string) =>
  pgTable(
    name,
    {
      tenantId: uuid('tenant_id').notNull(),
      stream: varchar('stream').notNull(),
      entries: integer('entries').notNull(),
      lastPosition: bigint('last_position', { mode: 'number' }).notNull(),
    },
    (table) => [primaryKey({ columns: [table.tenantId, table.stream] })],
  );

/** Counts by adding, so that an event that is applied twice, or not at all, shows. */
const counting = (name: string, placement: 'service' | 'tenant') => {
  const table = counts(name);
  return projection({
    name,
    version: 1,
    placement,
    tables: [table],
    on: {
      ProvisioningStepCompleted: ({ stream, position, data }) =>
        data.attempt === 1
          ? upsert(table, { stream, entries: 1, lastPosition: position })
          : patch(table, { stream }, { entries: add(1), lastPosition: position }),
      TenantProvisioned: ({ stream, position }) => upsert(table, { stream: `${stream}!`, entries: 1, lastPosition: position }),
    },
  });
};
export const projections = [counting('accounts', 'service'), counting('statements', 'tenant')];

export const charging = processManager({
  name: 'charging',
  on: {
    ProvisioningStepCompleted: ({ stream, data }) => (data.attempt % 3 === 0 ? effect('charge', { stream, attempt: data.attempt }) : null),
  },
});
