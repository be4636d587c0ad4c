import { readFile } from 'node:fs/promises';
import { jetstream } from '@nats-io/jetstream';
import { connect, credsAuthenticator, type NatsConnection } from '@nats-io/transport-node';
import { eventually } from '@tenantry/testing/eventually';
import { Ajv } from 'ajv';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Api } from '../harness/api.js';
import { type RunFile, sharedSystem } from '../harness/system.js';
import { activeTenant, eventsOf, PLATFORM, unique } from '../harness/tenants.js';

let api: Api;
let run: RunFile;
let connection: NatsConnection;
let document: any;
beforeAll(async () => {
  ({ api, run } = await sharedSystem());
  connection = await connect({ servers: run.natsUrl, authenticator: credsAuthenticator(await readFile(run.natsCredsFile)) });
  document = (await api.raw('GET', '/asyncapi.json')).body;
});
afterAll(() => connection?.close());

/** Schemas are open, so that fields can be added; here a field that the schema doesn't know is a fault. */
const closed = (schema: any): any =>
  typeof schema !== 'object' || schema === null
    ? schema
    : Array.isArray(schema)
      ? schema.map(closed)
      : {
          ...Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, key === 'enum' ? value : closed(value)])),
          ...(schema.type === 'object' && schema.properties && schema.additionalProperties === undefined
            ? { additionalProperties: false }
            : {}),
        };

/** Every message of a tenant, in the stream's order. */
const messagesOf = (tenantId: string, count: number) =>
  eventually(
    async () => {
      const consumer = await jetstream(connection).consumers.get('TENANTRY_EVENTS', { filter_subjects: `tenantry.events.${tenantId}.>` });
      const found: { subject: string; headers: Record<string, string>; data: unknown }[] = [];
      for await (const message of await consumer.fetch({ max_messages: 1_000, expires: 1_000 })) {
        const headers = Object.fromEntries([...(message.headers ?? [])].map(([name, [value]]) => [name, value as string]));
        found.push({ subject: message.subject, headers, data: message.json() });
        if (found.length === count) break;
      }
      return found.length === count && found;
    },
    { what: 'all events on the bus' },
  );

/** Does what there is to do with a tenant, so that its log has events of many types. */
async function lively(): Promise<string> {
  const { tenant } = await activeTenant(api, {
    name: unique('Lively'),
    adminEmail: 'ada@lively.example',
    billingEmail: 'bill@lively.example',
    domain: { type: 'custom', value: `${unique('shop')}.example`, ssl: true },
    settings: { greeting: 'hello' },
    limits: { storage: null, users: 3 },
    tags: ['one'],
  });
  const path = `${PLATFORM}/tenants/${tenant.id}`;
  const done = async (answer: Promise<{ status: number; text: string }>) => {
    const { status, text } = await answer;
    expect(status, text).toBeLessThan(300);
  };
  await done(api.put(path, { name: 'Livelier', contactPhone: '+49 30 123456', adminEmail: null, tags: ['two'] }));
  await done(api.put(path, { plan: 'enterprise' }));
  await done(api.put(`${path}/settings/greeting`, { value: { deep: ['hello'] }, type: 'json' }));
  await done(api.put(`${path}/settings/secret`, { value: 'xyz', encrypted: true }));
  await done(api.post(`${path}/suspend`, { reason: 'because', cause: 'policy' }));
  await done(api.post(`${path}/reactivate`, { reason: 'well then' }));
  const { body: key } = await api.post(`${path}/api-keys`, { name: 'ci' });
  await done(api.delete(`${path}/api-keys/${key.id}`));
  // Quotas, subscription and settings follow the plan; what else is under way comes to rest.
  await eventually(
    async () => {
      const types = new Set((await eventsOf(api, tenant.id)).map(({ type }) => type));
      return ['QuotasChanged', 'SubscriptionPlanChanged', 'InvitationSent'].every((type) => types.has(type));
    },
    { what: 'limits and subscription to follow the plan' },
  );
  return tenant.id;
}

describe('the AsyncAPI document and the schemas', () => {
  it('need no credentials, and say what they are', async () => {
    const answer = await api.raw('GET', '/asyncapi.json');
    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-type')).toContain('application/json');
    expect(document).toMatchObject({ asyncapi: '3.0.0', info: { title: 'Tenantry events' } });
    const paths = Object.values<any>(document.components.messages).map((message) => message.externalDocs.url);
    expect(paths.length).toBeGreaterThan(30);
    const served = await Promise.all(paths.map((path) => api.raw('GET', path)));
    served.forEach(({ status, body }, index) => {
      expect([status, body.$id]).toEqual([200, paths[index]]);
    });
    for (const nowhere of ['tenant.Nothing.v1.json', '..%2f..%2fpackage.json', 'tenant.TenantActivated.v1'])
      expect((await api.raw('GET', `/schemas/events/${nowhere}`)).status, nowhere).toBe(404);
    expect((await api.raw('POST', '/asyncapi.json')).status).toBe(405);
  });

  it('hold for every event that the running system publishes: its subject, its headers and its data', async () => {
    const tenantId = await lively();
    const events = await eventsOf(api, tenantId);
    const messages = await messagesOf(tenantId, events.length);
    const ajv = new Ajv({ strict: false, allErrors: true, formats: { 'date-time': (text: string) => !Number.isNaN(Date.parse(text)) } });
    const headers = ajv.compile(document.components.messageTraits.cloudEvent.headers);
    const seen = new Set<string>();
    for (const { subject, headers: all, data } of messages) {
      const name = all['ce-type']!.replace('tenantry.', '');
      const [, , tenant, context, type] = subject.split('.');
      expect(document.channels[context!].parameters.eventType.enum).toContain(type);
      expect(tenant).toBe(all['ce-tenantid']);
      expect(headers(all), `${name}: ${ajv.errorsText(headers.errors)}`).toBe(true);
      const schema = document.components.schemas[name];
      expect(schema, name).toBeDefined();
      expect(ajv.validate(schema, data), `${name}: ${ajv.errorsText()}`).toBe(true);
      expect(ajv.validate(closed(schema), data), `${name}, closed: ${ajv.errorsText()}`).toBe(true);
      seen.add(type!);
    }
    const wanted = ['TenantRegistered', 'TenantUpdated', 'TenantPlanChanged', 'TenantSuspended', 'TenantReactivated', 'SettingChanged'];
    expect([...seen]).toEqual(expect.arrayContaining([...wanted, 'ApiKeyCreated', 'ApiKeyRevoked', 'QuotasChanged', 'MemberInvited']));
    // The schemas would notice: personal data in clear is none of theirs.
    const registered = messages.find(({ subject }) => subject.endsWith('.TenantRegistered'))!;
    const schema = document.components.schemas['tenant.TenantRegistered.v1'];
    expect(ajv.validate(schema, { ...(registered.data as object), adminEmail: 'ada@lively.example' })).toBe(false);
  });
});
