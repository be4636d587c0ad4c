import { z } from 'zod';

/** Who caused an event. Ids only: names and addresses of people are looked up by those who may see them. */
export const Actor = z.object({
  kind: z.enum(['staff', 'member', 'api-key', 'service', 'system']),
  id: z.string().max(200),
});
export type Actor = z.infer<typeof Actor>;

/** Personal data at rest: `<key id>:<base64 of nonce, ciphertext and tag>`. */
export const Encrypted = z.object({ enc: z.string() });
export type Encrypted = z.infer<typeof Encrypted>;

/** A value that is personal: clear in a decision's result, `{enc}` in everything that is stored or sent. */
export type Personal<T = string> = T | Encrypted;

/**
 * Marks a field of an event as personal. It is encrypted with the key of the event's data subject before
 * the event is appended, and stays encrypted in the log, on the bus and in read models.
 */
export const personal = <S extends z.ZodType>(schema: S) => z.union([schema, Encrypted]).meta({ personal: true });

export interface EventMetadata {
  commandId: string;
  actor: Actor;
  traceparent?: string;
  causationId?: string;
  correlationId?: string;
  ip?: Personal;
  userAgent?: Personal;
}

/** An event as a decision gives it. */
export interface NewEvent<T extends string = string, D = unknown> {
  type: T;
  data: D;
}

/** An event as the log holds it. `position` counts from 0 without gaps in the tenant's log, `streamVersion` in its stream. */
export interface StoredEvent<T extends string = string, D = unknown> extends NewEvent<T, D> {
  tenantId: string;
  position: number;
  stream: string;
  streamVersion: number;
  id: string;
  context: Context;
  version: number;
  metadata: EventMetadata;
  recordedAt: string;
  /** SHA-256 (hex) of the canonical JSON of the envelope without position, stream version and time. */
  bodyHash: string;
  /** SHA-256 (hex) of 0x00, position, stream version, time in µs, body hash: the leaf of the audit tree. */
  leaf: string;
  /** Position of the previous event of the same context, null for the first. */
  previousInContext: number | null;
}

export const contexts = [
  'tenant',
  'config',
  'placement',
  'quota',
  'domain',
  'billing',
  'identity',
  'audit',
  'insight',
  'platform',
] as const;
export type Context = (typeof contexts)[number];

type Upcaster = (old: Record<string, unknown>) => Record<string, unknown>;

export interface EventDefinition<D extends z.ZodType = z.ZodType> {
  /** The version that is written today; older ones are upcast on read. */
  version: number;
  data: D;
  /** The data subject whose key encrypts the personal fields: a stable id without meaning, such as `contacts` or `member-<id>`. Needed where a field is `personal`. */
  subject?: (data: z.infer<D>) => string;
  /** `upcasters[n]` takes data of version n to version n + 1. */
  upcasters?: Record<number, Upcaster>;
  /** `earlier[n]` is the schema of version n as it was written: published for ever, because the bus and other systems' stores may still hold such events. */
  earlier?: Record<number, z.ZodType>;
  /** One line for the AsyncAPI document and the audit view. */
  summary: string;
}

/** One context's events. Type names are unique over all contexts. */
export interface EventSet<M extends Record<string, EventDefinition> = Record<string, EventDefinition>> {
  context: Context;
  types: M;
}

export const events = <const M extends Record<string, EventDefinition>>(context: Context, types: M): EventSet<M> => ({
  context,
  types,
});

/** Helper that keeps `subject` typed by `data`. */
export const event = <D extends z.ZodType>(definition: EventDefinition<D>): EventDefinition<D> => definition;

/** The union of a set's events as decisions give them. */
export type EventOf<S extends EventSet> = {
  [T in keyof S['types'] & string]: NewEvent<T, z.infer<S['types'][T]['data']>>;
}[keyof S['types'] & string];

/** The stored form of an event union. */
export type Stored<E extends NewEvent> = E extends NewEvent<infer T, infer D> ? StoredEvent<T, D> : never;
