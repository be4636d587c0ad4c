import { errorCodes } from '@tenantry/contracts/errors';
import { z } from 'zod';
import type { Endpoint } from '../http/endpoint.js';
import { contentOperation } from './file-content.js';
import { type Json, withoutDefinitions } from './json-schema.js';

/** OpenAPI 3.1 of both surfaces, from the same schemas that requests are validated with. */
export function openApiDocument(endpoints: readonly Endpoint[]): Json {
  const schemas = new Schemas();
  const paths: Record<string, Json> = {};
  for (const endpoint of endpoints) {
    const path = endpoint.path.replace(/:(\w+)/g, '{$1}');
    paths[path] = { ...paths[path], [endpoint.method.toLowerCase()]: operationOf(endpoint, schemas) };
  }
  const progress = endpoints.find(({ route, face }) => face === null && route.name === 'operations.get');
  if (progress) paths[`${progress.path.replace(/:(\w+)/g, '{$1}')}/events`] = { get: eventStream(progress, schemas) };
  return {
    openapi: '3.1.0',
    info: {
      title: 'Tenantry',
      version: '1.0.0',
      description:
        'The control plane of a multi-tenant SaaS. `/api/v1/platform` is for platform staff, `/api/tenants` for tenants themselves.\n\n' +
        'Errors are problem documents (RFC 9457) with a stable `code`. Answers to commands carry `Tenantry-Position`; a query that sends it as `Tenantry-Min-Position` sees what the command did.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    security: [{ apiKey: [] }],
    tags: [...new Set(endpoints.map(({ tag }) => tag))].map((name) => ({ name })),
    paths,
    components: {
      securitySchemes: {
        apiKey: {
          type: 'http',
          scheme: 'bearer',
          bearerFormat: 'tnt_<environment>_<random><checksum>',
          description: 'An API key, of the platform or of one tenant',
        },
      },
      schemas: { ...schemas.components, Problem: problemSchema },
      responses: {
        Problem: {
          description: 'What is wrong, and what to do about it',
          content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
        },
      },
    },
  };
}

function operationOf(endpoint: Endpoint, schemas: Schemas): Json {
  const { method, params, query, body, bodyOptional, answers, scope, permission, summary, tag, face, route } = endpoint;
  const name = nameOf(endpoint);
  const changing = method !== 'GET';
  const common = {
    operationId: face === null ? route.name : `${name.charAt(0).toLowerCase()}${name.slice(1)}`,
    summary,
    description: description(scope, permission),
    tags: [tag],
    ...(scope === 'public' ? { security: [] } : {}),
  };
  if (route.raw !== undefined) {
    const written = () => schemas.use(answers[200] as z.ZodType, name, 'output');
    return { ...common, ...contentOperation(route.raw, parametersOf(params, 'path', schemas), written) };
  }
  return {
    ...common,
    parameters: [
      ...parametersOf(params, 'path', schemas),
      ...parametersOf(query, 'query', schemas),
      ...(changing ? changingHeaders : readingHeaders),
      ...(method === 'PUT' ? [creatingHeader] : []),
    ],
    ...(body
      ? { requestBody: { required: !bodyOptional, content: { 'application/json': { schema: schemas.use(body, `${name}Body`, 'input') } } } }
      : {}),
    responses: {
      ...Object.fromEntries(
        Object.entries(answers).map(([status, schema]) => [
          face?.status?.[Number(status)] ?? status,
          {
            description: descriptions[status] ?? 'Done',
            headers: answerHeaders(changing),
            ...(status === '204' ? {} : { content: { 'application/json': { schema: schemas.use(schema, name, 'output') } } }),
          },
        ]),
      ),
      default: { $ref: '#/components/responses/Problem' },
    },
  };
}

const descriptions: Record<string, string> = {
  200: 'Done',
  201: 'Created',
  202: 'Accepted: the work goes on as an operation',
  204: 'Done',
};

const description = (scope: Endpoint['scope'], permission: string | null): string => {
  if (scope === 'public') return 'Needs no credentials.';
  const who = {
    platform: 'Platform credentials',
    tenant: 'Platform credentials, or those of the tenant or its reseller',
    reseller: "Platform credentials, or a reseller's for its children",
  }[scope];
  return permission === null ? `${who}.` : `${who}, with the permission \`${permission}\`.`;
};

function eventStream(progress: Endpoint, schemas: Schemas): Json {
  return {
    operationId: 'operations.events',
    summary: 'Follow the progress of long work',
    description: `Server-sent events: \`step\` for each step that changed, \`done\` with the operation at its end. ${description(progress.scope, progress.permission)}`,
    tags: [progress.tag],
    parameters: parametersOf(progress.params, 'path', schemas),
    responses: {
      200: { description: 'The stream', content: { 'text/event-stream': { schema: { type: 'string' } } } },
      default: { $ref: '#/components/responses/Problem' },
    },
  };
}

function parametersOf(schema: z.ZodType | undefined, place: 'path' | 'query', schemas: Schemas): Json[] {
  if (!schema) return [];
  const { properties = {}, required = [] } = schemas.of(schema, 'input');
  return Object.entries(properties as Record<string, Json>).map(([name, { description: text, ...of }]) => ({
    name,
    in: place,
    required: place === 'path' || required.includes(name),
    ...(text === undefined ? {} : { description: text }),
    schema: of,
  }));
}

const header = (name: string, text: string, schema: Json = { type: 'string' }): Json => ({
  name,
  in: 'header',
  required: false,
  description: text,
  schema,
});
const changingHeaders = [
  header('Idempotency-Key', 'The same key with the same request gets the first answer; with another request it is refused.', {
    type: 'string',
    minLength: 1,
    maxLength: 255,
  }),
  header('If-Match', 'ETag that the resource must still have.'),
];
const creatingHeader = header('If-None-Match', '`*`: the resource is created, and not replaced where it is there already.');
const readingHeaders = [
  header('If-None-Match', 'ETag that the caller has already.'),
  header(
    'Tenantry-Min-Position',
    '`<tenantId>:<position>` that the answer must have seen; waits up to 2 s, then the answer has `Tenantry-Stale: true`.',
  ),
];
const answerHeaders = (changing: boolean): Json => ({
  ETag: { description: 'Version of the resource, where it has one', schema: { type: 'string' } },
  ...(changing
    ? {
        'Tenantry-Position': { description: '`<tenantId>:<position>` of what was recorded', schema: { type: 'string' } },
        'Idempotency-Replayed': { description: '`true` where this is the first answer again', schema: { type: 'string' } },
      }
    : {
        'Tenantry-Stale': {
          description: '`true` where the position that was asked for was not reached in time',
          schema: { type: 'string' },
        },
      }),
});

const problemSchema: Json = {
  type: 'object',
  required: ['type', 'title', 'status', 'code', 'detail', 'errors'],
  properties: {
    type: { type: 'string', format: 'uri' },
    title: { type: 'string' },
    status: { type: 'integer' },
    code: { type: 'string', description: 'Stable', examples: Object.keys(errorCodes).slice(0, 3) },
    detail: { type: 'string' },
    traceId: { type: 'string' },
    errors: {
      type: 'array',
      items: {
        type: 'object',
        required: ['field', 'rule', 'message'],
        properties: { field: { type: 'string', examples: ['plan.id'] }, rule: { type: 'string' }, message: { type: 'string' } },
      },
    },
  },
  additionalProperties: true,
};

const words = (text: string): string =>
  text
    .split(/[^A-Za-z0-9]+/)
    .filter((word) => word !== '')
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join('');
/** `TenantsCreate` for the route, `TenantTenantsCreate` for its face on the tenant surface; `…Current` for the caller's own. */
const nameOf = ({ face, route, ownTenant, path }: Endpoint): string =>
  face === null ? words(route.name) : `Tenant${words(route.name)}${ownTenant ? words(path.split('/').at(-1) ?? '') : ''}`;

/** JSON Schemas of zod's; whole bodies become components, and what is written the same is the same component. */
class Schemas {
  readonly components: Record<string, Json> = {};
  private readonly names = new Map<string, string>();

  use(schema: z.ZodType, name: string, io: 'input' | 'output'): Json {
    const json = this.of(schema, io);
    const text = JSON.stringify(json);
    const known = this.names.get(text);
    if (known) return { $ref: `#/components/schemas/${known}` };
    let free = name;
    for (let n = 2; free in this.components; n++) free = `${name}${n}`;
    this.names.set(text, free);
    this.components[free] = json;
    return { $ref: `#/components/schemas/${free}` };
  }

  of(schema: z.ZodType, io: 'input' | 'output'): Json {
    const { $schema: _, ...json } = z.toJSONSchema(schema, {
      target: 'draft-2020-12',
      io,
      unrepresentable: 'any',
      reused: 'inline',
    }) as Json;
    return withoutDefinitions(json);
  }
}
