import type { StoredEvent } from '@tenantry/contracts/events';
import type { EventStore } from '@tenantry/event-store/port';
import { apply, consumerOf } from '../consumer.js';
import { charging, projections } from './domain.js';
import type { Provider } from './node.js';
import { Tables } from './tables.js';

export interface Acknowledged {
  tenantId: string;
  stream: string;
  id: string;
  count: number;
  events: StoredEvent[];
}

export interface Left {
  logs: EventStore;
  tables: Tables;
  provider: Provider;
  tenants: string[];
  /** Commands that were answered, with what they were answered. */
  acknowledged: Acknowledged[];
  /** Ids of all commands that clients ever sent. */
  sent: ReadonlySet<string>;
}

/** Everything that must hold once all is quiet; a line for each thing that doesn't. */
export async function faultsOf(left: Left): Promise<string[]> {
  const faults: string[] = [];
  const expected = new Tables();
  for (const tenantId of left.tenants) {
    const events = await wholeLog(left.logs, tenantId);
    faults.push(...gaps(tenantId, events), ...commandFaults(left, tenantId, events));
    for (const placement of ['service', 'tenant'] as const) {
      const consumer = consumerOf('simulated', placement, projections, [charging]);
      if (!consumer) continue;
      const { changes, effects, last } = apply(consumer, events);
      expected.write(changes);
      expected.ask(effects, 0);
      const checkpoint = left.tables.checkpoints.get(`${consumer.name}:${tenantId}`);
      if ((checkpoint?.position ?? -1) !== (last?.position ?? -1))
        faults.push(`${consumer.name} of ${tenantId} is at ${checkpoint?.position}, not ${last?.position}`);
    }
  }
  for (const { tables } of projections) {
    for (const table of tables) {
      const [are, should] = [left.tables.of(table), expected.of(table)];
      for (const key of new Set([...are.keys(), ...should.keys()])) {
        const [is, replayed] = [text(are.get(key)), text(should.get(key))];
        if (is !== replayed) faults.push(`a row is ${is}, and by a replay ${replayed}`);
      }
    }
  }
  return [...faults, ...effectFaults(left, expected)];
}

async function wholeLog(logs: EventStore, tenantId: string): Promise<StoredEvent[]> {
  const events: StoredEvent[] = [];
  for (let from = 0; ; ) {
    const slice = await logs.readLog(tenantId, from);
    events.push(...slice.events);
    if (slice.scannedTo >= slice.head) return events;
    from = slice.scannedTo + 1;
  }
}

function gaps(tenantId: string, events: StoredEvent[]): string[] {
  const versions = new Map<string, number>();
  const attempts = new Map<string, number>();
  return events.flatMap(({ position, stream, streamVersion, type, data }, index) => {
    const faults: string[] = [];
    if (position !== index) faults.push(`${tenantId}: position ${position} where ${index} should be`);
    const version = (versions.get(stream) ?? -1) + 1;
    versions.set(stream, version);
    if (streamVersion !== version) faults.push(`${tenantId}/${stream}: version ${streamVersion} where ${version} should be`);
    if (type === 'ProvisioningStepCompleted') {
      const attempt = (attempts.get(stream) ?? 0) + 1;
      attempts.set(stream, attempt);
      // Decided on another state than the one it was appended to.
      if ((data as { attempt: number }).attempt !== attempt) faults.push(`${tenantId}/${stream}: entry ${attempt} was counted otherwise`);
    }
    return faults;
  });
}

function commandFaults({ acknowledged, sent }: Left, tenantId: string, events: StoredEvent[]): string[] {
  const byCommand = new Map<string, StoredEvent[]>();
  for (const event of events) {
    const { commandId } = event.metadata;
    byCommand.set(commandId, [...(byCommand.get(commandId) ?? []), event]);
  }
  const faults: string[] = [];
  for (const command of acknowledged.filter((each) => each.tenantId === tenantId)) {
    const stored = byCommand.get(command.id) ?? [];
    if (stored.length !== command.count) faults.push(`command ${command.id} was acknowledged and has ${stored.length} events`);
    if (JSON.stringify(stored) !== JSON.stringify(command.events)) faults.push(`command ${command.id} was answered something else`);
  }
  for (const [id, stored] of byCommand) {
    const isEntry = stored.some(({ type }) => type === 'ProvisioningStepCompleted');
    if (isEntry && !sent.has(id)) faults.push(`command ${id} was never sent`);
  }
  return faults;
}

function effectFaults({ tables, provider }: Left, expected: Tables): string[] {
  const faults: string[] = [];
  for (const [id] of expected.effects) {
    const state = tables.effects.get(id)?.state;
    if (state !== 'done') faults.push(`effect ${id} is ${state ?? 'missing'}`);
    if (!provider.charged.has(id)) faults.push(`effect ${id} never reached the provider`);
  }
  for (const id of tables.effects.keys()) if (!expected.effects.has(id)) faults.push(`effect ${id} was asked for by no event`);
  for (const key of provider.charged.keys()) if (!expected.effects.has(key)) faults.push(`the provider saw the key ${key} of no effect`);
  return faults;
}

const text = (row: Record<string, unknown> | undefined): string =>
  row === undefined ? 'missing' : JSON.stringify(Object.fromEntries(Object.entries(row).sort(([a], [b]) => (a < b ? -1 : 1))));
