import { createRequire } from 'node:module';
import { eventSets } from '@tenantry/contracts/catalogue';
import { contexts, event, events, personal } from '@tenantry/contracts/events';
import { eventFixtures } from '@tenantry/testing/event-fixtures';
import { Ajv } from 'ajv';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { Json } from '../openapi/json-schema.js';
import { asyncApiDocument } from './document.js';
import { asDocument, eventSchemas } from './event-schemas.js';

// The schema of AsyncAPI itself, as its makers publish it.
const require = createRequire(import.meta.url);
const specification: object = require('@asyncapi/specs/schemas/3.0.0-without-$id.json');
const validator = () => new Ajv({ strict: false, validateFormats: false, allErrors: true });

const schemas = eventSchemas();
const document = asyncApiDocument(schemas);

const at = (pointer: string): unknown =>
  pointer
    .slice(2)
    .split('/')
    .reduce<any>((value, part) => value?.[part.replaceAll('~1', '/').replaceAll('~0', '~')], document);
function* references(value: unknown): Generator<string> {
  if (typeof value !== 'object' || value === null) return;
  if (typeof (value as Json)['$ref'] === 'string') yield (value as Json)['$ref'];
  for (const inner of Object.values(value)) yield* references(inner);
}

describe('the AsyncAPI document', () => {
  it('is what the specification asks for, and a broken one is not', () => {
    const valid = validator().compile(specification);
    expect(valid(document), JSON.stringify(valid.errors?.slice(0, 5))).toBe(true);
    expect(valid({ ...document, operations: { publish: { action: 'shout', channel: { $ref: '#/channels/tenant' } } } })).toBe(false);
    expect(valid({ ...document, info: { title: 'no version' } })).toBe(false);
  });

  it('points only to what is there', () => {
    const all = [...references(document)];
    expect(all.length).toBeGreaterThan(schemas.length * 3);
    for (const pointer of all) expect(at(pointer), pointer).toBeDefined();
  });

  it('has a channel for each context that has events, with the subjects of the contract', () => {
    const withEvents = contexts.filter((context) => eventSets.some((set) => set.context === context));
    expect(Object.keys(document['channels'])).toEqual(withEvents);
    for (const context of withEvents)
      expect(document['channels'][context].address).toBe(`tenantry.events.{tenantId}.${context}.{eventType}`);
    expect(document['channels'].tenant.parameters.eventType.enum).toEqual(Object.keys(eventSets[0]!.types));
  });

  it('has a message for every type and version, with its payload and its headers', () => {
    expect(Object.keys(document['components'].messages)).toEqual(schemas.map(({ name }) => name));
    expect(document['components'].messages['tenant.TenantActivated.v1'].title).toContain('no longer written');
    expect(document['components'].messages['tenant.TenantActivated.v2']).toMatchObject({
      name: 'tenantry.tenant.TenantActivated.v2',
      payload: { $ref: '#/components/schemas/tenant.TenantActivated.v2' },
      traits: [{ $ref: '#/components/messageTraits/cloudEvent' }],
    });
  });
});

describe('the schemas of events', () => {
  it('are all JSON Schema of draft 7, whatever context they are of', () => {
    const ajv = validator();
    for (const schema of schemas) expect(() => ajv.compile(asDocument(schema)), schema.name).not.toThrow();
    expect(new Set(schemas.map(({ path }) => path)).size).toBe(schemas.length);
  });

  it('have one for each version of each type', () => {
    const expected = eventSets.flatMap(({ context, types }) =>
      Object.entries(types).flatMap(([type, { version }]) =>
        Array.from({ length: version }, (_, index) => `${context}.${type}.v${index + 1}`),
      ),
    );
    expect(schemas.map(({ name }) => name)).toEqual(expected);
    expect(schemas.filter(({ current }) => current).length).toBe(eventSets.flatMap(({ types }) => Object.keys(types)).length);
  });

  it.each(eventFixtures.map(({ type, version }, index) => [type, version, index] as const))(
    '%s of version %i is what its schema says',
    (type, version, index) => {
      const schema = schemas.find((each) => each.type === type && each.version === version);
      const ajv = validator();
      expect(ajv.validate(asDocument(schema!), eventFixtures[index]!.data), ajv.errorsText()).toBe(true);
    },
  );

  const [first, second, other] = eventSchemas([
    events('tenant', {
      Renamed: event({
        version: 2,
        summary: 'x',
        subject: () => 'contacts',
        data: z.object({ name: personal(z.string()), phone: personal(z.string()).nullable().optional(), count: z.number().int() }),
        upcasters: { 1: (old) => old },
        earlier: { 1: z.object({ name: z.string(), count: z.number().int() }) },
      }),
      Noted: event({
        version: 1,
        summary: 'x',
        subject: () => 'contacts',
        data: z.object({ notes: z.array(z.object({ name: personal(z.string()) })), any: z.json() }),
      }),
    }),
  ]);
  const sealed = { enc: '3f0c/contacts/1:QUJD' };
  it.each([
    ['version 1 as it was', first, { name: 'Ada', count: 1 }, true],
    ['version 1 as it never was', first, { name: sealed, count: 1 }, false],
    ['sealed', second, { name: sealed, phone: sealed, count: 1 }, true],
    ['no phone any more', second, { name: sealed, phone: null, count: 1 }, true],
    ['a name in clear, which version 1 had', second, { name: 'Ada', count: 1 }, true],
    ['a phone number in clear', second, { name: sealed, phone: '+49', count: 1 }, false],
    ['a field more', second, { name: sealed, count: 1, colour: 'red' }, true],
    ['a field less', second, { name: sealed }, false],
    ['deep inside', other, { notes: [{ name: sealed }], any: [{ deep: [null] }] }, true],
    ['in clear, deep inside', other, { notes: [{ name: 'Ada' }], any: 1 }, false],
    ['no ciphertext', other, { notes: [{ name: { enc: 'Ada' } }], any: 1 }, false],
  ] as const)('%s', (_what, schema, data, valid) => {
    expect(validator().validate(asDocument(schema!), data)).toBe(valid);
  });
});
