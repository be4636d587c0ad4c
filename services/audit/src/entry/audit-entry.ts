import type { Personal, StoredEvent } from '@tenantry/contracts/events';

const UUID = '[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}';
const NAMED = new RegExp(`^(.+?)-${UUID}$`);

/** What a stream is about: `domain` for `domain-<id>`; the stream's own name where there is one of its kind. */
export const resourceType = (stream: string): string => NAMED.exec(stream)?.[1] ?? stream;

/** The trace's id out of a W3C `traceparent` (`<version>-<trace id>-<parent id>-<flags>`). */
export const traceIdOf = (traceparent: string | undefined): string | null =>
  /^[0-9a-f]{2}-([0-9a-f]{32})-/.exec(traceparent ?? '')?.[1] ?? null;

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

/**
 * Before and after. Events say what is from then on; those of a change that also name what was do so in `before`
 * (and what is in `after`).
 */
export function valuesOf(data: unknown): { oldValues: unknown; newValues: unknown } {
  if (isObject(data) && 'before' in data)
    return { oldValues: data['before'], newValues: 'after' in data ? data['after'] : omit(data, 'before') };
  return { oldValues: null, newValues: data };
}

const omit = (data: Record<string, unknown>, key: string) => Object.fromEntries(Object.entries(data).filter(([name]) => name !== key));

/** Ciphertext as text. Stored events hold personal metadata encrypted; anything else is not kept. */
const sealed = (value: Personal | undefined): string | null => (typeof value === 'object' ? value.enc : null);

export const auditEntryOf = (event: StoredEvent) => ({
  tenantId: event.tenantId,
  position: event.position,
  id: event.id,
  action: `${event.context}.${event.type}`,
  resourceType: resourceType(event.stream),
  resourceId: event.stream,
  actorKind: event.metadata.actor.kind,
  actorId: event.metadata.actor.id,
  ...valuesOf(event.data),
  ip: sealed(event.metadata.ip),
  userAgent: sealed(event.metadata.userAgent),
  traceId: traceIdOf(event.metadata.traceparent),
  createdAt: event.recordedAt,
});
