import { readFile } from 'node:fs/promises';
import { jetstream } from '@nats-io/jetstream';
import { connect, credsAuthenticator } from '@nats-io/transport-node';
import { shippedPlans } from '@tenantry/contracts/plans';
import { provisioningSteps } from '@tenantry/contracts/tenant/events';
import { eventually } from '@tenantry/testing/eventually';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Api } from '../harness/api.js';
import { type RunFile, sharedSystem } from '../harness/system.js';
import { activeTenant, eventsOf, PLATFORM, settled, unique } from '../harness/tenants.js';

let api: Api;
let run: RunFile;
let admin: pg.Pool;
beforeAll(async () => {
  ({ api, run } = await sharedSystem());
  admin = new pg.Pool({ connectionString: run.postgresUrl.replace(/\/[^/]*$/, '/tenantry'), max: 2 });
});
afterAll(() => admin?.end());

const levels = ['shared', 'dedicated', 'isolated'] as const;

describe.each(levels)('a %s tenant, through the platform surface', (isolation) => {
  it('goes from one request to active, and everything of it is real', async () => {
    const name = unique(`Shop ${isolation}`);
    const begun = performance.now();
    const { created, tenant } = await activeTenant(api, {
      name,
      isolation,
      domain: { type: 'subdomain', value: name.toLowerCase().replace(' ', '-'), ssl: true },
      plan: { id: 'business', trial: false },
      adminEmail: 'ada@shop.example',
      configuration: { theme: 'dark', language: 'de', timezone: 'Europe/Berlin', currency: 'EUR' },
      resources: { storage: 50, users: 20 },
    });
    const tookMs = performance.now() - begun;
    console.log(`${isolation}: active after ${Math.round(tookMs)} ms`);
    const id = tenant.id;
    expect(created.headers.get('location')).toBe(`${PLATFORM}/operations/${created.body.operation.id}`);
    expect(tenant).toMatchObject({
      name,
      status: 'active',
      isolation,
      plan: { id: 'business', version: 1 },
      timezone: 'Europe/Berlin',
      adminEmail: 'ada@shop.example',
    });

    const operation = await eventually(
      async () => {
        const { body } = await api.get(created.body.operation.url);
        return body.status === 'succeeded' && body;
      },
      { what: 'the operation to succeed' },
    );
    expect(operation.steps.map((step: any) => [step.name, step.status])).toEqual(provisioningSteps.map((step) => [step, 'succeeded']));
    for (const step of operation.steps)
      expect(step).toMatchObject({ attempt: 1, startedAt: expect.any(String), durationMs: expect.any(Number), error: null });

    // the place
    const place = (await api.get(`${PLATFORM}/tenants/${id}/placement`)).body;
    expect(place.isolation).toBe(isolation);
    const key = id.replaceAll('-', '');
    const inPlace =
      isolation === 'isolated'
        ? new pg.Pool({ connectionString: run.postgresUrl.replace(/\/[^/]*$/, `/tenantry_t_${key}`), max: 1 })
        : admin;
    const tables = await inPlace.query('SELECT tablename FROM pg_tables WHERE schemaname = $1', [place.schema]);
    expect(tables.rows.map((row) => row.tablename)).toEqual(
      expect.arrayContaining(['audit_entries', 'quota_quotas', 'config_settings', 'identity_members', 'checkpoints']),
    );
    expect((await admin.query('SELECT 1 FROM pg_roles WHERE rolname = $1', [place.role])).rowCount).toBe(1);
    expect((await inPlace.query('SELECT 1 FROM pg_namespace WHERE nspname = $1', [place.appSchema])).rowCount).toBe(1);
    const settings = await eventually(
      async () => {
        const { rows } = await inPlace.query(`SELECT key FROM "${place.schema}".config_settings WHERE tenant_id = $1`, [id]);
        return rows.length > 0 && rows;
      },
      { what: 'the settings in the tenant schema' },
    );
    expect(settings.map((row) => row.key)).toContain('security_level');
    if (inPlace !== admin) await inPlace.end();

    // keys, quotas, subscription, domain
    expect((await admin.query('SELECT 1 FROM identity.tenant_keys WHERE tenant_id = $1', [id])).rowCount).toBe(1);
    const quotas = (await api.get(`/api/tenants/${id}/quotas`)).body;
    const limits = Object.fromEntries(quotas.map((quota: any) => [quota.resource_type, quota.quota_limit]));
    expect(limits).toMatchObject({ ...shippedPlans.business.limits, storage: 50_000_000_000, users: 20 });
    expect((await api.get(`${PLATFORM}/tenants/${id}/subscription`)).body).toMatchObject({
      status: 'active',
      plan: { id: 'business', version: 1 },
      priceMinor: 79_900,
      timezone: 'Europe/Berlin',
    });
    expect((await api.get(`${PLATFORM}/tenants/${id}/domains`)).body.items).toMatchObject([
      { host: tenant.domain, status: 'active', type: 'subdomain', primary: true },
    ]);

    // the audit trail and the mail
    const events = await eventsOf(api, id);
    const audit = await eventually(
      async () => {
        const { body } = await api.get(`${PLATFORM}/tenants/${id}/audit-logs?limit=200`);
        return body.items.length >= events.length && body.items;
      },
      { what: 'an audit entry for every event' },
    );
    expect(audit.map((entry: any) => entry.action)).toEqual(expect.arrayContaining(['tenant.TenantRegistered', 'tenant.TenantActivated']));
    const mails = await eventually(
      async () => {
        const outbox = (await (await fetch(run.mailOutboxUrl)).json()) as any[];
        const own = outbox.filter((mail) => mail.tenantId === id);
        return own.length > 0 && own;
      },
      { what: 'the invitation in the outbox' },
    );
    expect(mails).toMatchObject([{ kind: 'invitation', to: 'ada@shop.example' }]);

    // personal data is not in clear in the log
    expect(JSON.stringify(events)).not.toContain('ada@shop.example');
  });
});

describe('the way from the request to active', () => {
  it.each(levels)('takes less than two seconds for a %s tenant', async (isolation) => {
    // On an idle machine the first try will do; on a shared one a neighbour may hold the disk for longer than that.
    const tries: number[] = [];
    do {
      const begun = performance.now();
      await activeTenant(api, { name: unique('Quick'), isolation, adminEmail: 'ada@quick.example' });
      tries.push(Math.round(performance.now() - begun));
    } while (tries.length < 3 && Math.min(...tries) >= 2_000);
    expect(Math.min(...tries), `ms at ${tries.length} tries: ${tries.join(', ')}`).toBeLessThan(2_000);
  });
});

describe('the tenant surface', () => {
  it('creates a tenant of tier pro', async () => {
    const created = await api.post('/api/tenants/', {
      organization_name: unique('Network'),
      tenant_tier: 'pro',
      billing_email: 'bill@net.example',
      contact_phone: '+49 30 123456',
      timezone: 'America/New_York',
      locale: 'en-US',
    });
    expect(created.status).toBe(202);
    expect(created.body).toMatchObject({ tenant_tier: 'pro', tenant_status: 'pending', billing_email: 'bill@net.example' });
    await settled(api, created.body.tenant_id);
    const one = await api.get(`/api/tenants/${created.body.tenant_id}`);
    expect(one.body).toMatchObject({ tenant_status: 'active', tenant_tier: 'pro', timezone: 'America/New_York' });
    const position = one.headers.get('tenantry-position') as string;
    const list = await api.get('/api/tenants?status=active&tier=pro&limit=10&offset=0', { 'tenantry-min-position': position });
    expect(list.status).toBe(200);
    expect(list.body.map((row: any) => row.tenant_id)).toContain(created.body.tenant_id);
    expect(Number(list.headers.get('x-total-count'))).toBeGreaterThanOrEqual(list.body.length);
  });

  it('knows the caller’s own tenant, and answers 400 to who has none', async () => {
    const { tenant } = await activeTenant(api, { name: unique('Current') });
    const { body } = await api.post(`${PLATFORM}/tenants/${tenant.id}/api-keys`, { name: 'ci' });
    expect((await api.as(body.key).get('/api/tenants/current')).body.tenant_id).toBe(tenant.id);
    expect((await api.get('/api/tenants/current')).status).toBe(400);
  });
});

describe('a tenant’s events on the bus', () => {
  it('are CloudEvents with positions 0…n without a gap, for an ordinary client', async () => {
    const { tenant } = await activeTenant(api, { name: unique('Bus') });
    const events = await eventsOf(api, tenant.id);
    const connection = await connect({ servers: run.natsUrl, authenticator: credsAuthenticator(await readFile(run.natsCredsFile)) });
    try {
      const seen = await eventually(
        async () => {
          const consumer = await jetstream(connection).consumers.get('TENANTRY_EVENTS', {
            filter_subjects: `tenantry.events.${tenant.id}.>`,
          });
          const found: any[] = [];
          for await (const message of await consumer.fetch({ max_messages: 500, expires: 1_000 })) {
            found.push({
              subject: message.subject,
              headers: Object.fromEntries([...(message.headers ?? [])].map(([name, values]) => [name.toLowerCase(), values[0]])),
              data: message.json(),
            });
            if (found.length === events.length) break;
          }
          return found.length === events.length && found;
        },
        { what: 'all events on the bus' },
      );
      seen.forEach((message, position) => {
        const event = events[position];
        expect(message.subject).toBe(`tenantry.events.${tenant.id}.${event.context}.${event.type}`);
        expect(message.headers).toMatchObject({
          'nats-msg-id': `${tenant.id}:${position}`,
          'ce-specversion': '1.0',
          'ce-id': `${tenant.id}:${position}`,
          'ce-type': `tenantry.${event.context}.${event.type}.v${event.version}`,
          'ce-subject': event.stream,
          'ce-tenantid': tenant.id,
          'ce-position': String(position),
          'ce-previncontext': event.previousInContext === null ? '' : String(event.previousInContext),
          'ce-eventid': event.id,
        });
        expect(message.data).toEqual(event.data);
      });
    } finally {
      await connection.close();
    }
  });
});

describe('creation under review', () => {
  it('stays pending until somebody activates it', async () => {
    const created = await api.post(`${PLATFORM}/tenants`, { name: unique('Review'), activation: 'review' });
    await eventually(async () => (await api.get(created.body.operation.url)).body.status === 'succeeded', {
      what: 'the operation to succeed',
    });
    const path = `${PLATFORM}/tenants/${created.body.id}`;
    expect((await api.get(path)).body.status).toBe('pending');
    const activated = await api.post(`${path}/activate`);
    expect(activated.body).toMatchObject({ status: 'active' });
    expect((await api.post(`${path}/activate`)).status).toBe(200);
  });
});

describe('progress', () => {
  it('is streamed until it is done', async () => {
    const created = await api.post(`${PLATFORM}/tenants`, { name: unique('Stream') });
    const response = await fetch(`${run.gatewayUrl}${created.body.operation.url}/events`, {
      headers: { authorization: `Bearer ${api.key}` },
    });
    expect(response.headers.get('content-type')).toContain('text/event-stream');
    const text = await response.text(); // ends by itself after `done`
    const names = [...text.matchAll(/^event: (\w+)$/gm)].map((match) => match[1]);
    expect(names.at(-1)).toBe('done');
    expect(names.filter((name) => name === 'step').length).toBeGreaterThan(0);
  });
});

describe('a writable resource', () => {
  it('has an ETag that guards it', async () => {
    const { tenant } = await activeTenant(api, { name: unique('Etag') });
    const path = `${PLATFORM}/tenants/${tenant.id}`;
    const before = await api.get(path);
    const etag = before.headers.get('etag') as string;
    const changed = await api.put(path, { name: 'New name' }, { 'if-match': etag });
    expect(changed).toMatchObject({ status: 200, body: { name: 'New name' } });
    const stale = await api.put(path, { name: 'Other' }, { 'if-match': etag });
    expect(stale).toMatchObject({ status: 412, body: { code: 'precondition.failed' } });
    expect((await api.get(path, { 'if-none-match': changed.headers.get('etag') as string })).status).toBe(304);
    const position = changed.headers.get('tenantry-position') as string;
    const listed = await api.get(`${PLATFORM}/tenants?q=${encodeURIComponent('New name')}`, { 'tenantry-min-position': position });
    expect(listed.body.items.map((row: any) => row.id)).toContain(tenant.id);
  });
});

describe('usage', () => {
  it('is counted up to the limit and refused beyond it', async () => {
    const { tenant } = await activeTenant(api, { name: unique('Usage'), limits: { alerts: 10 } });
    const path = `/api/tenants/${tenant.id}`;
    expect((await api.post(`${path}/quotas/check`, { resource_type: 'alerts', amount: 10 })).body).toMatchObject({
      allowed: true,
      remaining: 10,
      quota_limit: 10,
      current_usage: 0,
    });
    const results = await Promise.all(Array.from({ length: 15 }, () => api.post(`${path}/usage/increment`, { resource_type: 'alerts' })));
    expect(results.filter((result) => result.status === 200)).toHaveLength(10);
    const refused = results.find((result) => result.status === 429);
    expect(refused?.body).toMatchObject({ code: 'quota.exceeded' });
    expect(Number(refused?.headers.get('retry-after'))).toBeGreaterThan(0);
    expect((await api.post(`${path}/quotas/check`, { resource_type: 'alerts' })).body).toMatchObject({ allowed: false, current_usage: 10 });
    const logs = await api.get(`${path}/usage-logs?limit=3&offset=0`);
    expect(logs.body).toHaveLength(3);
    expect(logs.headers.get('x-total-count')).toBe('10');
  });
  it('is idempotent by key', async () => {
    const { tenant } = await activeTenant(api, { name: unique('Usage once') });
    const once = () =>
      api.post(`/api/tenants/${tenant.id}/usage/increment`, { resource_type: 'users', amount: 2 }, { 'idempotency-key': 'seat-1' });
    const [first, second] = [await once(), await once()];
    expect(second.body).toEqual(first.body);
    const quotas = (await api.get(`/api/tenants/${tenant.id}/quotas`)).body;
    expect(quotas.find((quota: any) => quota.resource_type === 'users').current_usage).toBe(2);
  });
});
