import { eventTypes } from '@tenantry/contracts/catalogue';
import type { EventDefinition, StoredEvent } from '@tenantry/contracts/events';

export type EventCatalogue = ReadonlyMap<string, EventDefinition>;

/**
 * The event with data of today's version. Types that are unknown here, and versions newer than today's
 * (written by a later release), come back as they are.
 */
export function upcast(event: StoredEvent, catalogue: EventCatalogue = eventTypes): StoredEvent {
  const definition = catalogue.get(event.type);
  if (!definition || event.version >= definition.version) return event;
  let data = event.data as Record<string, unknown>;
  for (let version = event.version; version < definition.version; version++) {
    const step = definition.upcasters?.[version];
    if (!step) throw new Error(`${event.type} has no upcaster from version ${version}`);
    data = step(data);
  }
  return { ...event, data, version: definition.version };
}
