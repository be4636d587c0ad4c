import { faces, routes } from '@tenantry/contracts/registry';
import { describe, expect, it } from 'vitest';
import { endpointsOf } from '../http/endpoint.js';
import { openApiDocument } from './document.js';
import type { Json } from './json-schema.js';
import { documentPage } from './page.js';

const endpoints = endpointsOf(routes, faces);
const document = openApiDocument(endpoints);
const operations = Object.entries(document['paths'] as Json).flatMap(([path, methods]) =>
  Object.entries(methods as Json).map(([method, operation]) => ({ path, method, operation: operation as Json })),
);

/** Every object of the document, with where it is. */
function* objects(value: unknown, path = '#'): Generator<[string, Json]> {
  if (typeof value !== 'object' || value === null) return;
  if (!Array.isArray(value)) yield [path, value as Json];
  for (const [name, member] of Object.entries(value)) yield* objects(member, `${path}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`);
}
const at = (pointer: string): unknown =>
  pointer
    .slice(2)
    .split('/')
    .reduce<any>((value, part) => value?.[part.replaceAll('~1', '/').replaceAll('~0', '~')], document);

describe('the OpenAPI document', () => {
  it('has every endpoint of both surfaces, and nothing else but the stream of progress', () => {
    const expected = endpoints.map(({ method, path }) => `${method} ${path.replace(/:(\w+)/g, '{$1}')}`);
    const found = operations.map(({ method, path }) => `${method.toUpperCase()} ${path}`);
    expect(found.sort()).toEqual([...expected, 'GET /api/v1/platform/operations/{operationId}/events'].sort());
  });
  it('is OpenAPI 3.1 with an info, a security scheme and tags that are declared', () => {
    expect(document).toMatchObject({
      openapi: '3.1.0',
      info: { title: 'Tenantry' },
      security: [{ apiKey: [] }],
      components: { securitySchemes: { apiKey: { type: 'http', scheme: 'bearer' } } },
    });
    const tags = new Set((document['tags'] as Json[]).map(({ name }) => name));
    for (const { operation } of operations) for (const tag of operation['tags']) expect(tags).toContain(tag);
  });
  it('gives every operation an id of its own, its path parameters, and answers', () => {
    expect(new Set(operations.map(({ operation }) => operation['operationId'])).size).toBe(operations.length);
    for (const { path, operation } of operations) {
      const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name).sort();
      const declared = operation['parameters'].filter((parameter: Json) => parameter['in'] === 'path');
      expect(declared.map((parameter: Json) => parameter['name']).sort(), path).toEqual(inPath);
      for (const parameter of declared) expect(parameter['required']).toBe(true);
      expect(Object.keys(operation['responses']).length).toBeGreaterThanOrEqual(2);
      expect(operation['responses'].default).toEqual({ $ref: '#/components/responses/Problem' });
      for (const status of Object.keys(operation['responses'])) expect(status).toMatch(/^([1-5]\d\d|default)$/);
    }
  });
  it('points only to what is there', () => {
    for (const [path, object] of objects(document))
      if (typeof object['$ref'] === 'string') expect(at(object['$ref']), `${path} → ${object['$ref']}`).toBeDefined();
  });
  it('names components as OpenAPI allows', () => {
    for (const name of Object.keys(document['components'].schemas)) expect(name).toMatch(/^[A-Za-z0-9._-]+$/);
  });
  it('says what a body must be', () => {
    const create = document['paths']['/api/v1/platform/tenants'].post;
    const schema = at(create.requestBody.content['application/json'].schema.$ref) as Json;
    expect(schema).toMatchObject({ type: 'object', required: ['name'], additionalProperties: false });
    expect(schema['properties'].isolation).toEqual({ type: 'string', enum: ['shared', 'dedicated', 'isolated'] });
  });
});

describe('the page', () => {
  it('shows every operation and loads nothing', () => {
    const page = documentPage(document);
    for (const { operation } of operations) expect(page).toContain(`id="${operation['operationId']}"`);
    expect(page).not.toMatch(/<script|<link|<img|https?:\/\/(?!\S*tenantry)/i);
  });
});
