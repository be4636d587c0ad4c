import { eventSets } from '@tenantry/contracts/catalogue';
import type { Context, EventDefinition, EventSet } from '@tenantry/contracts/events';
import { z } from 'zod';
import { type Json, withoutDefinitions } from '../openapi/json-schema.js';

/** The data of one version of one event type, as it is on the bus and in the log. */
export interface EventSchema {
  /** `<context>.<Type>.v<n>`; after `tenantry.` it is the event's `ce-type`. */
  name: string;
  /** Where the gateway serves it. */
  path: string;
  context: Context;
  type: string;
  version: number;
  /** What is written today. */
  current: boolean;
  summary: string;
  /** Draft 7, without `$schema` and `$id`. Open for further fields: they may be added without another version. */
  schema: Json;
}

const encrypted: Json = {
  type: 'object',
  description: 'Personal data, encrypted',
  properties: { enc: { type: 'string', pattern: '^[^:]+:[A-Za-z0-9+/]+={0,2}$', description: '`<key id>:<base64>`' } },
  required: ['enc'],
  additionalProperties: false,
};

/** Every version of every event type that was ever written, from the schemas that events are checked with before they are appended. */
export function eventSchemas(sets: readonly EventSet[] = eventSets): EventSchema[] {
  return sets.flatMap(({ context, types }) =>
    Object.entries(types).flatMap(([type, definition]) => {
      const inClear = onceInClear(definition);
      return versionsOf(definition).map(([version, data]): EventSchema => {
        const name = `${context}.${type}.v${version}`;
        const schema = sealed(jsonSchema(data), inClear) as Json;
        const current = version === definition.version;
        return { name, path: `/schemas/events/${name}.json`, context, type, version, current, summary: definition.summary, schema };
      });
    }),
  );
}

/** As a document of its own. */
export const asDocument = ({ name, path, summary, schema }: EventSchema): Json => ({
  $schema: 'http://json-schema.org/draft-07/schema#',
  $id: path,
  title: name,
  description: summary,
  ...schema,
});

const versionsOf = ({ version, data, earlier = {} }: EventDefinition): [number, z.ZodType][] => [
  ...Object.entries(earlier).map(([older, schema]): [number, z.ZodType] => [Number(older), schema]),
  [version, data],
];

/** Fields that an earlier version wrote in clear: brought to today's version they are personal, and still in clear. */
function onceInClear({ earlier = {} }: EventDefinition): Set<string> {
  const names = Object.values(earlier).flatMap((schema) => [...fieldsOf(jsonSchema(schema))].filter(([, json]) => !(PERSONAL in json)));
  return new Set(names.map(([name]) => name));
}

function* fieldsOf(json: unknown): Generator<[string, Json]> {
  if (typeof json !== 'object' || json === null) return;
  yield* Object.entries(((json as Json)['properties'] ?? {}) as Record<string, Json>);
  for (const inner of Object.values(json)) yield* fieldsOf(inner);
}

// Where zod's meta data of `personal(…)` arrives in the JSON Schema.
const PERSONAL = 'personal';

const jsonSchema = (schema: z.ZodType): Json => {
  const { $schema: _, ...json } = z.toJSONSchema(schema, {
    target: 'draft-7',
    // Not `output`: that would close objects, and whoever checks against it would refuse a field that is added.
    io: 'input',
    unrepresentable: 'any',
    reused: 'inline',
  }) as Json;
  return withoutDefinitions(json);
};

/** Personal fields as they are stored and sent. */
function sealed(json: unknown, inClear: ReadonlySet<string>, field = ''): unknown {
  if (Array.isArray(json)) return json.map((inner) => sealed(inner, inClear, field));
  if (typeof json !== 'object' || json === null) return json;
  if (PERSONAL in json) {
    const [clear] = (json as Json)['anyOf'] as [Json];
    return inClear.has(field) ? { anyOf: [encrypted, { ...clear, description: 'In clear, as an earlier version had it' }] } : encrypted;
  }
  return Object.fromEntries(
    Object.entries(json).map(([key, inner]) => [
      key,
      key === 'properties'
        ? Object.fromEntries(Object.entries(inner as Json).map(([name, of]) => [name, sealed(of, inClear, name)]))
        : sealed(inner, inClear, field),
    ]),
  );
}
