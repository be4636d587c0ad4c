import type { Context } from '@tenantry/contracts/events';
import type { Json } from '../openapi/json-schema.js';
import { type EventSchema, eventSchemas } from './event-schemas.js';

const descriptions: Partial<Record<Context, string>> = {
  tenant: 'The life of a tenant: registration, provisioning step by step, activation, suspension, changes of it and of its plan',
  config: "A tenant's settings",
  placement: 'Where a tenant lives',
  quota: "A tenant's limits",
  domain: "A tenant's host names",
  billing: "A tenant's subscription",
  identity: 'Keys, members and API keys of a tenant',
  platform: 'Facts of the platform, in its own log: tenant id 00000000-0000-0000-0000-000000000000',
};

/** AsyncAPI 3.0 of the events on the bus: a channel per context, a message per version of each event type ever written. */
export function asyncApiDocument(schemas: readonly EventSchema[] = eventSchemas()): Json {
  const byContext = Map.groupBy(schemas, ({ context }) => context);
  return {
    asyncapi: '3.0.0',
    info: {
      title: 'Tenantry events',
      version: '1.0.0',
      description: introduction,
      license: { name: 'Apache-2.0', url: 'https://www.apache.org/licenses/LICENSE-2.0' },
    },
    defaultContentType: 'application/json',
    servers: {
      events: {
        host: '{host}',
        protocol: 'nats',
        description: 'JetStream: stream `TENANTRY_EVENTS`, pull consumers. Messages are kept for 7 days; older ones are read over HTTP.',
        variables: { host: { default: 'localhost:4222', description: 'As `natsUrl` of the event subscription says' } },
        security: [{ $ref: '#/components/securitySchemes/credentials' }],
      },
    },
    channels: Object.fromEntries([...byContext].map(([context, of]) => [context, channel(context, of)])),
    operations: Object.fromEntries(
      [...byContext].map(([context, of]) => [
        `publish${context.charAt(0).toUpperCase()}${context.slice(1)}Events`,
        {
          action: 'send',
          channel: { $ref: `#/channels/${context}` },
          summary: `Tenantry publishes the events of the context ${context}`,
          messages: of.map(({ name }) => ({ $ref: `#/channels/${context}/messages/${name}` })),
        },
      ]),
    ),
    components: {
      messages: Object.fromEntries(schemas.map((each) => [each.name, message(each)])),
      schemas: Object.fromEntries(schemas.map(({ name, schema }) => [name, schema])),
      messageTraits: { cloudEvent: { contentType: 'application/json', headers } },
      securitySchemes: {
        credentials: {
          type: 'userPassword',
          description:
            'The `.creds` file (a NATS user JWT and its key) that the creation of an event subscription answers. It may fetch from and acknowledge on the consumers of its subscription, and nothing else.',
        },
      },
    },
  };
}

const introduction = `Everything that happens to a tenant is an event in that tenant's log, at a position that counts 0, 1, 2, … without gaps.
The bus carries each as a CloudEvent in binary mode: attributes are headers, the body is the event's data as JSON.

- Each is delivered at least once; \`ce-id\` is the same every time. Order within a consumer is the order of the log, except where something is published again.
- Nothing is missing when, per tenant and context, \`ce-previncontext\` of each event is the position of the one before. A hole is filled over HTTP: \`GET /api/v1/platform/tenants/{id}/events?after=\`.
- Another \`ce-eventid\` at a position that is known means that the log was set back to a backup and rewritten from there: read again over HTTP from that position on.
- Personal data is \`{"enc": "<key id>:<base64>"}\`. \`POST /api/v1/platform/tenants/{id}/events/decrypt\` gives it to whoever has the permission \`personal:read\`.
- Fields may be added to a version; whatever else changes is a new version. Every message names its own JSON Schema.`;

const channel = (context: Context, schemas: readonly EventSchema[]): Json => ({
  address: `tenantry.events.{tenantId}.${context}.{eventType}`,
  title: context,
  ...(descriptions[context] === undefined ? {} : { description: descriptions[context] }),
  servers: [{ $ref: '#/servers/events' }],
  parameters: {
    tenantId: { description: 'A UUID in lower case', examples: ['3f0c6d1e-8a57-4c1e-9f0b-2f1f5c9d7a11'] },
    eventType: { description: 'Type of the event', enum: [...new Set(schemas.map(({ type }) => type))] },
  },
  messages: Object.fromEntries(schemas.map(({ name }) => [name, { $ref: `#/components/messages/${name}` }])),
});

const message = ({ name, path, type, version, current, summary }: EventSchema): Json => ({
  name: `tenantry.${name}`,
  title: current ? type : `${type}, version ${version} (no longer written)`,
  summary,
  traits: [{ $ref: '#/components/messageTraits/cloudEvent' }],
  payload: { $ref: `#/components/schemas/${name}` },
  externalDocs: { url: path, description: 'JSON Schema of the data' },
});

const text = (description: string, of: Json = {}): Json => ({ type: 'string', description, ...of });
const uuid = '[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}';

const headers: Json = {
  type: 'object',
  required: [
    'Nats-Msg-Id',
    'ce-specversion',
    'ce-id',
    'ce-source',
    'ce-type',
    'ce-time',
    'ce-subject',
    'ce-tenantid',
    'ce-position',
    'ce-previncontext',
    'ce-eventid',
  ],
  properties: {
    'Nats-Msg-Id': text('`<tenantId>:<position>`; of a message that was published again `<tenantId>:<position>:r<n>`', {
      pattern: `^${uuid}:[0-9]+(:r[0-9]+)?$`,
    }),
    'ce-specversion': text('Version of CloudEvents', { const: '1.0' }),
    'ce-id': text('`<tenantId>:<position>`, the same however often it is published', { pattern: `^${uuid}:[0-9]+$` }),
    'ce-source': text('The service whose event it is', { pattern: '^/tenantry/[a-z-]+$' }),
    'ce-type': text('`tenantry.<context>.<EventType>.v<n>`: the version decides the schema', {
      pattern: '^tenantry\\.[a-z]+\\.[A-Za-z]+\\.v[1-9][0-9]*$',
    }),
    'ce-time': text('When it was recorded; grows with the position', { format: 'date-time' }),
    'ce-subject': text('The stream within the log, such as `tenant` or `member-<id>`'),
    'ce-tenantid': text("The tenant's id", { pattern: `^${uuid}$` }),
    'ce-position': text("Position in the tenant's log, from 0 without gaps", { pattern: '^[0-9]+$' }),
    'ce-previncontext': text("Position of the tenant's previous event of the same context; empty for the first", { pattern: '^[0-9]*$' }),
    'ce-eventid': text("The event's own id: another one at a known position means that history was rewritten from there", {
      pattern: `^${uuid}$`,
    }),
    traceparent: text('W3C trace context of the request behind it'),
  },
};
