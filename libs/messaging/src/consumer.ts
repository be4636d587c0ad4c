import { createHash } from 'node:crypto';
import { type EventName, eventTypes, type StoredOf } from '@tenantry/contracts/catalogue';
import type { StoredEvent } from '@tenantry/contracts/events';
import { derivedId } from '@tenantry/contracts/ids';
import { getTableColumns } from 'drizzle-orm';
import type { PgTable } from 'drizzle-orm/pg-core';
import type { EffectRequest, ProcessManager, Projection, RowChange } from './projection.js';

/** All of a service's projections of one placement (with its process managers, for `service`): they share one checkpoint per tenant. */
export interface Consumer {
  /** Of its checkpoints: `service` for the service's own rows, the service's name in the tenants' schemas. */
  name: string;
  placement: Projection['placement'];
  projections: Projection[];
  processes: ProcessManager[];
  /** What the log is filtered by; undefined means everything. */
  types: string[] | undefined;
  /** Changes with the projections, their versions and what is handled: the rows are rebuilt then. */
  version: string;
  tables: PgTable[];
}

/** A row of the outbox. */
export interface OutboxRow {
  id: string;
  tenant_id: string;
  name: string;
  payload: unknown;
  causation_id: string;
}

/** What one tenant's events come to. */
export interface Applied {
  changes: RowChange[];
  effects: OutboxRow[];
  /** The last event that went through; null where not even the first did. */
  last: StoredEvent | null;
  /** The event that a handler could not take; what came before it counts. */
  failure: { event: StoredEvent; error: unknown } | null;
}

/** Null where the service has nothing of that placement. */
export function consumerOf(
  service: string,
  placement: Projection['placement'],
  all: Projection[],
  managers: ProcessManager[],
): Consumer | null {
  const projections = all.filter((projection) => projection.placement === placement);
  const processes = placement === 'service' ? managers : [];
  if (projections.length + processes.length === 0) return null;
  const types = new Set([...projections, ...processes].flatMap(({ on }) => Object.keys(on)));
  const print = [
    ...projections.map(({ name, version, on }) => `${name}@${version}:${Object.keys(on).sort().join()}`),
    ...processes.map(({ name, on }) => `${name}:${Object.keys(on).sort().join()}`),
  ].sort();
  return {
    name: placement === 'service' ? 'service' : service,
    placement,
    projections,
    processes,
    types: types.has('*') ? undefined : [...types].sort(),
    version: createHash('sha256').update(print.join('\n')).digest('hex').slice(0, 16),
    tables: [...new Set(projections.flatMap(({ tables }) => tables))],
  };
}

/** Exactly the subjects that wake the consumer. */
export function wakeSubjects(types: string[] | undefined): string[] {
  if (types === undefined) return ['tenantry.events.>'];
  return types.map((type) => {
    const known = eventTypes.get(type);
    if (!known) throw new Error(`No event is called ${type}`);
    return `tenantry.events.*.${known.context}.${type}`;
  });
}

export interface ApplyOptions {
  /** Ids of events that are left out, though they count as applied. */
  skipped?: ReadonlySet<string>;
  /** Whether an event's effects are to be asked for; by default they are. */
  asks?: (event: StoredEvent) => boolean;
}

/** Runs the handlers over one tenant's events, in order, up to the first that throws. */
export function apply(consumer: Consumer, events: StoredEvent[], { skipped, asks = () => true }: ApplyOptions = {}): Applied {
  const applied: Applied = { changes: [], effects: [], last: null, failure: null };
  for (const event of events) {
    if (skipped?.has(event.id)) {
      applied.last = event;
      continue;
    }
    try {
      const changes = consumer.projections.flatMap((projection) => changesOf(projection, event));
      const effects = asks(event) ? consumer.processes.flatMap((manager) => effectsOf(manager, event)) : [];
      for (const change of changes) applied.changes.push(withTenant(change, event.tenantId));
      for (const row of outboxRows(effects, event)) applied.effects.push(row);
      applied.last = event;
    } catch (error) {
      applied.failure = { event, error };
      break;
    }
  }
  return applied;
}

type Handler<R> = (event: StoredOf<EventName>) => R | R[] | null;
const handlerOf = <R>(on: object, type: string): Handler<R> | undefined =>
  Object.hasOwn(on, type) ? (on as Record<string, Handler<R>>)[type] : undefined;

function changesOf({ on }: Projection, event: StoredEvent): RowChange[] {
  const named = handlerOf<RowChange>(on, event.type);
  const any = handlerOf<RowChange>(on, '*');
  return [...listOf(named?.(event as StoredOf<EventName>)), ...listOf(any?.(event as StoredOf<EventName>))];
}
const effectsOf = ({ on }: ProcessManager, event: StoredEvent): EffectRequest[] =>
  listOf(handlerOf<EffectRequest>(on, event.type)?.(event as StoredOf<EventName>));

const listOf = <T>(value: T | T[] | null | undefined): T[] => (Array.isArray(value) ? value : value ? [value] : []);

function outboxRows(effects: EffectRequest[], event: StoredEvent): OutboxRow[] {
  const counts = new Map<string, number>();
  return effects.map(({ name, payload }) => {
    const nth = counts.get(name) ?? 0;
    counts.set(name, nth + 1);
    const id = nth === 0 ? derivedId(event.id, name) : derivedId(event.id, name, nth);
    return { id, tenant_id: event.tenantId, name, payload: payload ?? {}, causation_id: event.id };
  });
}

/** Fills in the tenant where a handler left it out. */
function withTenant(change: RowChange, tenantId: string): RowChange {
  if (!('tenantId' in getTableColumns(change.table))) return change;
  if (change.op === 'upsert') return change.row['tenantId'] === undefined ? { ...change, row: { ...change.row, tenantId } } : change;
  return change.key['tenantId'] === undefined ? { ...change, key: { ...change.key, tenantId } } : change;
}
