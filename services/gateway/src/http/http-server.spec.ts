import { SystemClock } from '@tenantry/contracts/clock';
import { DomainError } from '@tenantry/contracts/errors';
import type { StoredEvent } from '@tenantry/contracts/events';
import { authenticate } from '@tenantry/contracts/identity/operations';
import { newId } from '@tenantry/contracts/ids';
import { faces, routes } from '@tenantry/contracts/registry';
import type { Answer, CommandContext, Operation, Principal, Route, RouteInput } from '@tenantry/contracts/route';
import type { OperationView } from '@tenantry/contracts/tenant/bodies';
import { createApiKey, hashApiKey } from '@tenantry/crypto/api-key';
import { MemoryKeyring } from '@tenantry/crypto/memory-keyring';
import { RpcClient } from '@tenantry/messaging/rpc';
import { silentLogger } from '@tenantry/observability/logger';
import type { Bus } from '@tenantry/service/bus';
import type { ProcessEnvironment } from '@tenantry/service/config';
import { MaintenanceGate } from '@tenantry/service/maintenance-gate';
import { TenantGate } from '@tenantry/service/tenant-gate';
import { freePort } from '@tenantry/testing/ports';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { Idempotency } from '../idempotency/keyed-requests.js';
import { MemoryFirstRequests } from '../idempotency/memory-first-requests.js';
import { OperationEvents } from '../operation-events/progress-streams.js';
import { endpointsOf } from './endpoint.js';
import { Forwarder } from './forwarder.js';
import { HttpServer } from './http-server.js';

const tenantA = '11111111-1111-4111-8111-11111111abcd';
const tenantB = '22222222-2222-4222-8222-222222222222';
const operationId = '33333333-3333-4333-8333-333333333333';
const staffKey = createApiKey('live').key;
const keyOfA = createApiKey('live').key;
const weakKey = createApiKey('live').key;

const principals = new Map<string, Principal>([
  [hashApiKey(staffKey), { kind: 'staff', id: 'admin', permissions: ['*'] }],
  [hashApiKey(keyOfA), { kind: 'api-key', id: 'key-a', tenantId: tenantA, permissions: ['*'] }],
  [hashApiKey(weakKey), { kind: 'api-key', id: 'key-weak', tenantId: tenantA, permissions: ['quota:read'] }],
]);

const tenant = (id: string) => ({
  id,
  name: 'Acme',
  slug: 'acme',
  status: 'pending',
  plan: { id: 'professional', version: 1 },
  version: 3,
  position: 7,
});

type Forwarded = { route: string; input: RouteInput; command: CommandContext };
class FakeOwners extends RpcClient {
  forwarded: Forwarded[] = [];
  answer: (forwarded: Forwarded) => Answer | Promise<Answer> = () => ({ status: 200, body: {} });
  override async call<I, O>(operation: Operation, input: I): Promise<O> {
    if (operation.name !== authenticate.name) throw new Error(operation.name);
    return { principal: principals.get((input as { keyHash: string }).keyHash) ?? null } as O;
  }
  override async forward(route: Route, input: RouteInput, command: CommandContext): Promise<Answer> {
    const forwarded = { route: route.name, input: JSON.parse(JSON.stringify(input)), command };
    this.forwarded.push(forwarded);
    return this.answer(forwarded);
  }
}

/** What the tenants' logs hold, for the gate. */
const life = new Map<string, (string | { type: string; data: object })[]>();
/** Whose children tenants are. */
const parents = new Map<string, string>();
const gate = new TenantGate({
  maxAgeMs: 0,
  store: {
    readStream: async (tenantId, _stream, options) => ({
      events: (life.get(tenantId) ?? [])
        .map((event, streamVersion) => {
          const { type, data = {} } = typeof event === 'string' ? { type: event } : event;
          const registered = type === 'TenantRegistered' ? { parentId: parents.get(tenantId) } : {};
          return { type, streamVersion, data: { ...registered, ...data } } as unknown as StoredEvent;
        })
        .slice(options?.fromVersion ?? 0),
      command: null,
    }),
  },
});
/** What the platform's log says of maintenance, for its gate. */
const windows: { type: string; data: object }[] = [];
const maintenance = new MaintenanceGate({
  maxAgeMs: 0,
  clock: new SystemClock(),
  store: {
    readStream: async (_log, stream, options) => ({
      events: (stream === 'maintenance' ? windows : [{ type: 'MaintenanceTenantsNamed', data: { tenantIds: [tenantA] } }])
        .map((event, streamVersion) => ({ ...event, streamVersion }) as unknown as StoredEvent)
        .slice(options?.fromVersion ?? 0),
      command: null,
    }),
  },
});
/** Of one tenant. */
const IN_FLIGHT = 4;
const firsts = new MemoryFirstRequests();
let owners: FakeOwners;
let server: HttpServer;
let url: string;
beforeAll(async () => {
  owners = new FakeOwners();
  const port = await freePort();
  const environment = {
    values: { TENANTRY_HTTP_HOST: '127.0.0.1', TENANTRY_PORT: port, TENANTRY_TENANT_REQUESTS: IN_FLIGHT } as ProcessEnvironment,
  };
  const idempotency = new Idempotency(firsts, new MemoryKeyring(), silentLogger);
  const woken = (_subject: string, { callback }: { callback: () => void }) => {
    const timer = setTimeout(callback, 100);
    return { unsubscribe: () => clearTimeout(timer) };
  };
  const bus = { connection: { subscribe: woken } } as unknown as Bus;
  server = new HttpServer(
    environment,
    new Forwarder(owners, idempotency, gate, silentLogger),
    new OperationEvents(owners, bus, silentLogger),
    gate,
    maintenance,
    owners,
    silentLogger,
  );
  await server.onApplicationBootstrap();
  url = `http://127.0.0.1:${port}`;
});
afterAll(() => server.beforeApplicationShutdown());
beforeEach(() => {
  owners.forwarded = [];
  owners.answer = () => ({ status: 200, body: {} });
});

interface Reply {
  status: number;
  headers: Headers;
  text: string;
  json: any;
}
async function ask(
  method: string,
  path: string,
  { key = staffKey as string | null, body, headers = {} }: { key?: string | null; body?: unknown; headers?: Record<string, string> } = {},
): Promise<Reply> {
  const response = await fetch(url + path, {
    method,
    redirect: 'manual',
    headers: {
      ...(key ? { authorization: `Bearer ${key}` } : {}),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    body: body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body),
  });
  const text = await response.text();
  return {
    status: response.status,
    headers: response.headers,
    text,
    json: text.startsWith('{') || text.startsWith('[') ? JSON.parse(text) : undefined,
  };
}
const create = (body: unknown, more: Parameters<typeof ask>[2] = {}) => ask('POST', '/api/v1/platform/tenants', { body, ...more });
const accepted = () => ({
  status: 202,
  body: { ...tenant(tenantA), operation: { id: operationId, url: `/api/v1/platform/operations/${operationId}` } },
  version: 3,
  position: { tenantId: tenantA, position: 7 },
  location: `/api/v1/platform/operations/${operationId}`,
});

describe('a request', () => {
  it('is forwarded to the owner of its route, with who asks and a command id', async () => {
    owners.answer = accepted;
    const reply = await create({ name: 'Acme' }, { headers: { 'x-request-id': 'req-1', 'user-agent': 'spec' } });
    expect(reply.status).toBe(202);
    expect(Object.fromEntries(reply.headers)).toMatchObject({
      location: `/api/v1/platform/operations/${operationId}`,
      etag: '"3"',
      'tenantry-position': `${tenantA}:7`,
      'x-request-id': 'req-1',
      'x-content-type-options': 'nosniff',
    });
    expect(owners.forwarded).toMatchObject([
      {
        route: 'tenants.create',
        input: { body: { name: 'Acme' } },
        command: {
          principal: { id: 'admin' },
          correlationId: 'req-1',
          userAgent: 'spec',
          ip: '127.0.0.1',
          requestHash: expect.stringMatching(/^[0-9a-f]{64}$/),
        },
      },
    ]);
  });
  it('goes on with the trace of the caller', async () => {
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    await ask('GET', `/api/v1/platform/tenants/${tenantA}`, { headers: { traceparent } });
    expect(owners.forwarded[0]?.command.traceparent).toMatch(/^00-0af7651916cd43dd8448eb211c80319c-(?!b7ad6b7169203331)[0-9a-f]{16}-01$/);
  });
  it('may end in a slash', async () => {
    expect((await ask('GET', `/api/v1/platform/tenants/${tenantA}/`)).status).toBe(200);
    owners.answer = () => ({ status: 200, body: { items: [], nextCursor: null } });
    expect((await ask('GET', '/api/tenants/')).status).toBe(200);
  });
  it('compares ids without regard to case', async () => {
    owners.answer = () => ({ status: 200, body: tenant(tenantA) });
    expect((await ask('GET', `/api/tenants/${tenantA.toUpperCase()}`, { key: keyOfA })).status).toBe(200);
    expect(owners.forwarded[0]?.input.params).toEqual({ tenantId: tenantA });
  });
});

describe('the tenant surface', () => {
  it('maps a request and its answer', async () => {
    owners.answer = accepted;
    const { status, json } = await ask('POST', '/api/tenants/', { body: { organization_name: 'Acme', tenant_tier: 'pro' } });
    expect(status).toBe(202);
    expect(owners.forwarded[0]).toMatchObject({ route: 'tenants.create', input: { body: { name: 'Acme', plan: 'pro' } } });
    expect(json).toMatchObject({ tenant_id: tenantA, organization_name: 'Acme', tenant_tier: 'pro' });
  });
  it('names its own fields when the owner refuses one', async () => {
    owners.answer = () => {
      throw new DomainError('plan.not_found', { errors: [{ field: 'plan', rule: 'exists', message: 'is no plan' }] });
    };
    const { status, json } = await ask('POST', '/api/tenants', { body: { organization_name: 'Acme', tenant_tier: 'gold' } });
    expect(status).toBe(422);
    expect(json.errors).toEqual([{ field: 'tenant_tier', rule: 'exists', message: 'is no plan' }]);
  });
  it("answers for the caller's own tenant", async () => {
    await ask('GET', '/api/tenants/current', { key: keyOfA });
    expect(owners.forwarded[0]).toMatchObject({ route: 'tenants.get', input: { params: { tenantId: tenantA } } });
    expect(await ask('GET', '/api/tenants/current')).toMatchObject({ status: 400, json: { code: 'auth.no_tenant' } });
  });
  it('gives bare arrays their total', async () => {
    owners.answer = () => ({ status: 200, body: { items: [tenant(tenantA)], nextCursor: null }, total: 17 });
    const { headers, json } = await ask('GET', '/api/tenants?limit=1');
    expect(json).toHaveLength(1);
    expect(headers.get('x-total-count')).toBe('17');
  });
  it('gives arrays that are whole their length', async () => {
    owners.answer = () => ({ status: 200, body: { items: [] } });
    expect((await ask('GET', `/api/tenants/${tenantA}/members`, { key: keyOfA })).headers.get('x-total-count')).toBe('0');
  });
});

describe('credentials', () => {
  it('are needed', async () => {
    const reply = await create({ name: 'Acme' }, { key: null });
    expect(reply).toMatchObject({ status: 401, json: { code: 'auth.unauthenticated' } });
    expect(reply.headers.get('www-authenticate')).toMatch(/^Bearer/);
    expect(reply.headers.get('content-type')).toMatch(/^application\/problem\+json/);
    expect(owners.forwarded).toEqual([]);
  });
  it.each(['nonsense', `${staffKey}x`, createApiKey('live').key])('are refused when they are nobody’s: %s', async (key) => {
    expect(await create({ name: 'Acme' }, { key })).toMatchObject({ status: 401 });
  });
  it('of a tenant do not reach the platform surface', async () => {
    expect(await ask('GET', `/api/v1/platform/tenants/${tenantA}`, { key: keyOfA })).toMatchObject({
      status: 403,
      json: { code: 'auth.forbidden' },
    });
  });
  it('of a tenant do not see that another tenant exists, whatever else is wrong', async () => {
    expect(await ask('GET', `/api/tenants/${tenantB}`, { key: keyOfA })).toMatchObject({ status: 404, json: { code: 'tenant.not_found' } });
    expect(await ask('POST', `/api/tenants/${tenantB}/usage/increment`, { key: keyOfA, body: { wrong: 1 } })).toMatchObject({
      status: 404,
    });
  });
  it('must have the permission', async () => {
    owners.answer = () => ({ status: 200, body: { items: [] } });
    expect(await ask('GET', `/api/tenants/${tenantA}/quotas`, { key: weakKey })).toMatchObject({ status: 200 });
    expect(await ask('GET', `/api/tenants/${tenantA}`, { key: weakKey })).toMatchObject({
      status: 403,
      json: { code: 'auth.forbidden', permission: 'tenant:read' },
    });
  });
});

describe('a tenant under maintenance', () => {
  it('is told when to come again, and so is whoever comes by its surface; the platform works on', async () => {
    owners.answer = () => ({ status: 200, body: tenant(tenantA), version: 3 });
    const [windowId, endsAt] = ['w', new Date(Date.now() + 90_000).toISOString()];
    windows.push({ type: 'MaintenanceStarted', data: { windowId, scope: 'some', endsAt, reason: 'a new disk' } });
    const refused = await ask('GET', `/api/tenants/${tenantA}`, { key: keyOfA });
    expect(refused).toMatchObject({
      status: 503,
      json: { code: 'tenant.maintenance', endsAt, detail: expect.stringContaining('a new disk') },
    });
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(80);
    expect((await ask('GET', '/api/tenants/current', { key: keyOfA })).status).toBe(503);
    expect((await ask('GET', `/api/tenants/${tenantA}`)).status).toBe(503);
    expect((await ask('GET', `/api/v1/platform/tenants/${tenantA}`)).status).toBe(200);
    expect((await ask('GET', `/api/tenants/${tenantB}`)).status).toBe(200);
    windows.push({ type: 'MaintenanceEnded', data: { windowId } });
    expect((await ask('GET', `/api/tenants/${tenantA}`, { key: keyOfA })).status).toBe(200);
  });
});

describe('an erased tenant', () => {
  it('is gone, whatever its owner misses; other tenants’ refusals, and its certificate’s, are the owner’s', async () => {
    const gone = newId();
    life.set(gone, ['TenantDeletionScheduled', 'TenantErasureStarted', 'TenantErased']);
    owners.answer = () => {
      throw new DomainError('placement.not_found');
    };
    expect(await ask('GET', `/api/v1/platform/tenants/${gone}/settings`)).toMatchObject({ status: 410, json: { code: 'tenant.deleted' } });
    expect(await ask('GET', `/api/v1/platform/tenants/${tenantB}/settings`)).toMatchObject({ json: { code: 'placement.not_found' } });
    owners.answer = () => {
      throw new DomainError('erasure.export_expired');
    };
    expect(await ask('GET', `/api/v1/platform/tenants/${gone}/erasure-export`)).toMatchObject({ json: { code: 'erasure.export_expired' } });
  });

  it('is gone at every path of a tenant, whatever its owner would still answer, and nothing of it is changed', async () => {
    const gone = newId();
    life.set(gone, ['TenantDeletionScheduled', 'TenantErasureStarted', 'TenantErased']);
    owners.answer = () => ({ status: 200, body: tenant(gone), version: 3 });
    const asked = endpointsOf(routes, faces).filter(({ path, route }) => path.includes(':tenantId') && !route.ofErased);
    expect(asked.length).toBeGreaterThan(80);
    const named: Record<string, string> = {
      tenantId: gone,
      from: '1',
      to: '2',
      a: '1',
      b: '2',
      n: '1',
      flag: 'beta',
      key: 'a',
      status: 'active',
    };
    for (const { method, path } of asked) {
      const filled = path.replaceAll(/:(\w+)/g, (_all, name: string) => named[name] ?? newId());
      const query = path.endsWith('/history/diff') ? '?from=0&to=1' : path.endsWith('/evaluate') ? '?subject=x' : '';
      if (method === 'GET') expect((await ask('GET', `${filled}${query}`)).status, `${method} ${path}`).toBe(410);
      // Before anything of the body is looked at, or after: it is never forwarded.
      else {
        const forwarded = owners.forwarded.length;
        expect([400, 410, 415, 422], `${method} ${path}`).toContain((await ask(method, filled, { body: {} })).status);
        expect(owners.forwarded.length, `${method} ${path}`).toBe(forwarded);
      }
    }
    owners.answer = () => ({ status: 200, body: {} });
    for (const path of ['erasure-certificate', 'erasure-export'])
      expect((await ask('GET', `/api/v1/platform/tenants/${gone}/${path}`)).status).toBe(200);
  });
});

describe('a suspended tenant', () => {
  it('is refused with its own keys, wherever they may go, while the platform acts on it', async () => {
    life.set(tenantA, ['TenantRegistered', 'TenantSuspended']);
    for (const path of ['/api/tenants/current', `/api/tenants/${tenantA}/quotas`])
      expect(await ask('GET', path, { key: keyOfA })).toMatchObject({ status: 403, json: { code: 'tenant.suspended' } });
    expect(await ask('GET', `/api/tenants/${tenantB}`, { key: keyOfA })).toMatchObject({ status: 404 });
    expect(owners.forwarded).toEqual([]);
    expect((await ask('GET', `/api/v1/platform/tenants/${tenantA}`)).status).toBe(200);
    life.get(tenantA)?.push('TenantReactivated');
    owners.answer = () => ({ status: 200, body: tenant(tenantA), version: 3 });
    expect((await ask('GET', '/api/tenants/current', { key: keyOfA })).status).toBe(200);
  });
});

describe('bad input', () => {
  const errorsOf = async (body: unknown) => {
    const { status, json } = await create(body);
    return { status, code: json.code, errors: json.errors.map(({ field, rule }: { field: string; rule: string }) => `${field} ${rule}`) };
  };
  it('names every fault at once', async () => {
    expect(
      await errorsOf({
        slug: 'Not A Slug',
        timezone: 'Mars/Base',
        currency: 'XXZ',
        locale: '??',
        plan: { id: 'free', duration: 0 },
        colour: 'red',
      }),
    ).toEqual({
      status: 422,
      code: 'request.invalid',
      errors: expect.arrayContaining([
        'name required',
        'slug format',
        'timezone time_zone',
        'currency currency',
        'locale locale',
        'plan.duration min',
        'colour unknown',
      ]),
    });
    expect(owners.forwarded).toEqual([]);
  });
  it.each([
    ['NUL', { name: 'a\u0000b' }, 'name clean_text'],
    ['a direction mark', { name: 'a\u202eb' }, 'name clean_text'],
    ['a lone surrogate', '{"name":"a\\ud800b"}', 'name clean_text'],
    ['a lone surrogate in a name', '{"name":"a","settings":{"\\ud800":1}}', 'settings.\ufffd clean_text'],
    ['a name of 1 MB', { name: 'x'.repeat(1_000_000) }, 'name max_length'],
    ['a prototype', '{"name":"a","__proto__":{"admin":true}}', '__proto__ name'],
    ['a prototype inside', '{"name":"a","settings":{"constructor":{"prototype":1}}}', 'settings.constructor name'],
    ['another type', { name: 7 }, 'name type'],
    ['null', { name: null }, 'name type'],
    ['an array', [], ' type'],
    ['nothing', undefined, ' required'],
  ])('with %s is refused by field and rule', async (_what, body, fault) => {
    const { status, errors } = await errorsOf(body);
    expect(status).toBe(422);
    expect(errors).toContain(fault);
  });
  it('that is nested without end is refused', async () => {
    expect(await create(`{"name":"a","settings":{"a":${'['.repeat(50_000)}${']'.repeat(50_000)}}}`)).toMatchObject({ status: 422 });
  });
  it.each(['{', '{"name":', 'name=Acme', '\ufeff', '"\\x"'])('that is no JSON is malformed: %s', async (body) => {
    expect(await create(body)).toMatchObject({ status: 400, json: { code: 'request.malformed' } });
  });
  it('that is no UTF-8 is malformed', async () => {
    const response = await fetch(`${url}/api/v1/platform/tenants`, {
      method: 'POST',
      headers: { authorization: `Bearer ${staffKey}`, 'content-type': 'application/json' },
      body: Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]),
    });
    expect(response.status).toBe(400);
  });
  it('of more than 1 MiB is too large', async () => {
    expect(await create({ name: 'x'.repeat(1_100_000) })).toMatchObject({ status: 413, json: { code: 'request.too_large' } });
  });
  it('of another type than JSON is not supported', async () => {
    expect(await create('name: Acme', { headers: { 'content-type': 'application/yaml' } })).toMatchObject({ status: 415 });
  });
  it('in path or query is a malformed request', async () => {
    expect(await ask('GET', '/api/v1/platform/tenants/no-uuid')).toMatchObject({
      status: 400,
      json: { errors: [{ field: 'tenantId', rule: 'uuid' }] },
    });
    expect(await ask('GET', '/api/v1/platform/tenants?limit=many&color=red')).toMatchObject({
      status: 400,
      json: {
        errors: expect.arrayContaining([
          expect.objectContaining({ field: 'limit' }),
          expect.objectContaining({ field: 'color', rule: 'unknown' }),
        ]),
      },
    });
    expect(await ask('GET', `/api/v1/platform/tenants/${tenantA}?x=1`)).toMatchObject({ status: 400 });
    expect(await ask('GET', '/api/v1/platform/tenants/%E0%A4%A')).toMatchObject({ status: 400, json: { code: 'request.malformed' } });
    expect(await ask('GET', '/api/v1/platform/tenants?q=%00')).toMatchObject({ status: 422 });
    expect(await ask('GET', `/api/v1/platform/tenants/${'x'.repeat(3_000)}`)).not.toMatchObject({ status: 500 });
  });
  it('is refused in headers too', async () => {
    expect(await create({ name: 'A' }, { headers: { 'idempotency-key': 'x'.repeat(256) } })).toMatchObject({
      status: 422,
      json: { errors: [{ field: 'Idempotency-Key' }] },
    });
    expect(await ask('PUT', `/api/v1/platform/tenants/${tenantA}`, { body: {}, headers: { 'if-match': 'W/"3"' } })).toMatchObject({
      status: 412,
    });
    expect(await ask('GET', `/api/v1/platform/tenants/${tenantA}`, { headers: { 'tenantry-min-position': 'soon' } })).toMatchObject({
      status: 422,
    });
  });
  it('never shows the insides of an error', async () => {
    owners.answer = () => {
      throw new Error('password=hunter2 at /srv/secret.ts');
    };
    const { status, text } = await create({ name: 'Acme' });
    expect(status).toBe(500);
    expect(text).not.toMatch(/hunter2|secret|at /);
  });
});

describe('a quota that is used up', () => {
  it('says how much there is, how much is left and when to come back', async () => {
    owners.answer = () => {
      throw new DomainError('quota.exceeded', { retryAfterSeconds: 61.2, extensions: { limit: 100, remaining: 3 } });
    };
    const { status, headers } = await ask('POST', `/api/tenants/${tenantA}/usage/increment`, {
      key: keyOfA,
      body: { resource_type: 'alerts' },
    });
    expect(status).toBe(429);
    expect(Object.fromEntries(headers)).toMatchObject({
      ...{ 'retry-after': '62', 'ratelimit-limit': '100', 'ratelimit-remaining': '3', 'ratelimit-reset': '62' },
    });
  });
});

describe('paths and methods', () => {
  it('that are not there', async () => {
    expect(await ask('GET', '/api/v2/tenants')).toMatchObject({ status: 404, json: { code: 'request.not_found' } });
    const reply = await ask('PATCH', `/api/v1/platform/tenants/${tenantA}`, { body: {} });
    expect(reply).toMatchObject({ status: 405, json: { code: 'request.method_not_allowed' } });
    expect(reply.headers.get('allow')).toBe('GET, PUT, DELETE, HEAD, OPTIONS');
  });
  it('HEAD is GET without a body; OPTIONS says what there is, and nothing about other origins', async () => {
    expect(await ask('HEAD', `/api/v1/platform/tenants/${tenantA}`)).toMatchObject({ status: 200, text: '' });
    const options = await ask('OPTIONS', '/api/v1/platform/tenants', { headers: { origin: 'https://evil.example' } });
    expect(options.status).toBe(204);
    expect(options.headers.get('allow')).toContain('POST');
    expect([...options.headers.keys()].filter((name) => name.startsWith('access-control'))).toEqual([]);
  });
  it('of its own', async () => {
    expect(await ask('GET', '/healthz', { key: null })).toMatchObject({ status: 200 });
    expect((await ask('GET', '/docs', { key: null })).text).toContain('/api/v1/platform/tenants/{tenantId}');
    expect((await ask('GET', '/openapi.json', { key: null })).json.openapi).toBe('3.1.0');
  });
});

describe('conditions', () => {
  beforeEach(() => {
    owners.answer = () => ({ status: 200, body: tenant(tenantA), version: 3 });
  });
  it('If-None-Match of what the caller has: 304', async () => {
    expect(await ask('GET', `/api/v1/platform/tenants/${tenantA}`, { headers: { 'if-none-match': '"3"' } })).toMatchObject({
      status: 304,
      text: '',
    });
    expect(await ask('GET', `/api/v1/platform/tenants/${tenantA}`, { headers: { 'if-none-match': '"2"' } })).toMatchObject({ status: 200 });
  });
  it('If-Match and Tenantry-Min-Position go to the owner', async () => {
    await ask('PUT', `/api/v1/platform/tenants/${tenantA}`, { body: { name: 'B' }, headers: { 'if-match': '"3"' } });
    await ask('GET', `/api/v1/platform/tenants/${tenantA}`, { headers: { 'tenantry-min-position': `${tenantA}:7` } });
    expect(owners.forwarded.map(({ command }) => [command.ifMatch, command.minPosition])).toEqual([
      [3, undefined],
      [undefined, { tenantId: tenantA, position: 7 }],
    ]);
  });
});

describe('what is made of several streams', () => {
  it('has a weak ETag, by its position', async () => {
    owners.answer = () => ({ status: 200, body: { items: [] }, asOf: 12 });
    const path = `/api/v1/platform/tenants/${tenantA}/settings`;
    expect((await ask('GET', path)).headers.get('etag')).toBe('W/"12"');
    expect((await ask('GET', path, { headers: { 'if-none-match': 'W/"12"' } })).status).toBe(304);
    expect((await ask('GET', path, { headers: { 'if-none-match': 'W/"11"' } })).status).toBe(200);
  });
});

describe('an idempotency key', () => {
  let n = 0;
  const keyed = (body: unknown, key: string, more: Parameters<typeof ask>[2] = {}) =>
    create(body, { ...more, headers: { 'idempotency-key': key } });
  const newKey = () => `key-${n++}`;

  it('gives all of many equal requests at once the same answer, and does the work once', async () => {
    owners.answer = async () => {
      await new Promise((resolve) => setTimeout(resolve, 50));
      return accepted();
    };
    const key = newKey();
    const replies = await Promise.all(Array.from({ length: 20 }, (_, at) => keyed(at % 2 ? { name: 'Acme' } : '{ "name" : "Acme" }', key)));
    expect(owners.forwarded).toHaveLength(1);
    expect(new Set(replies.map(({ status, text }) => `${status} ${text}`)).size).toBe(1);
    expect(replies.filter(({ headers }) => headers.get('idempotency-replayed') === 'true')).toHaveLength(19);
    for (const { headers } of replies) expect(headers.get('location')).toBe(`/api/v1/platform/operations/${operationId}`);
  });
  it('cannot be kept while our own database is away: that is no fault of the request', async () => {
    const reset = Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' });
    const claim = vi.spyOn(firsts, 'claim').mockRejectedValueOnce(reset);
    const reply = await keyed({ name: 'Acme' }, newKey());
    claim.mockRestore();
    expect(reply).toMatchObject({ status: 503, json: { code: 'service.unavailable' } });
    expect(reply.headers.get('retry-after')).toBe('1');
    expect(owners.forwarded).toEqual([]);
  });
  it('is refused with another request', async () => {
    const key = newKey();
    await keyed({ name: 'Acme' }, key);
    expect(await keyed({ name: 'Other' }, key)).toMatchObject({
      status: 422,
      json: { code: 'idempotency.mismatch', errors: [{ field: 'Idempotency-Key', rule: 'same_request' }] },
    });
  });
  it('is its own for each principal and operation', async () => {
    const key = newKey();
    const body = { resource_type: 'users' };
    owners.answer = () => ({ status: 200, body: { allowed: true, remaining: 1, used: 1 } });
    const increment = (who: string, path: string) => ask('POST', path, { key: who, body, headers: { 'idempotency-key': key } });
    await increment(staffKey, `/api/tenants/${tenantA}/usage/increment`);
    await increment(keyOfA, `/api/tenants/${tenantA}/usage/increment`);
    await increment(staffKey, `/api/tenants/${tenantA}/usage/release`);
    expect(new Set(owners.forwarded.map(({ command }) => command.id)).size).toBe(3);
  });
  it('keeps a refusal', async () => {
    const key = newKey();
    owners.answer = () => {
      throw new DomainError('tenant.slug_taken', { errors: [{ field: 'slug', rule: 'unique', message: 'is taken' }] });
    };
    const first = await keyed({ name: 'Acme', slug: 'acme' }, key);
    owners.answer = accepted;
    const again = await keyed({ name: 'Acme', slug: 'acme' }, key);
    expect(again).toMatchObject({ status: 409, text: first.text });
  });
  it.each(['service.unavailable', 'quota.exceeded', 'internal.error', 'service.timeout'] as const)('does not keep %s', async (code) => {
    const key = newKey();
    owners.answer = () => {
      throw new DomainError(code);
    };
    const first = await keyed({ name: 'Acme' }, key);
    owners.answer = accepted;
    expect(first.status).not.toBe(202);
    expect(await keyed({ name: 'Acme' }, key)).toMatchObject({ status: 202 });
  });
  it('shows a secret once', async () => {
    const key = newKey();
    owners.answer = () => ({ status: 201, body: { id: tenantA, key: 'tnt_live_secret' }, secret: true });
    const path = `/api/v1/platform/tenants/${tenantA}/api-keys`;
    const make = () => ask('POST', path, { body: { name: 'ci' }, headers: { 'idempotency-key': key } });
    expect(await make()).toMatchObject({ status: 201 });
    expect(await make()).toMatchObject({ status: 409, json: { code: 'idempotency.secret_already_shown' } });
  });
});

describe('the progress of an operation', () => {
  const step = (name: 'register' | 'allocate', status: 'pending' | 'running' | 'succeeded') => ({
    name,
    status,
    attempt: 1,
    startedAt: null,
    durationMs: null,
    error: null,
  });
  const operation = (more: Partial<OperationView>): OperationView => ({
    id: operationId,
    type: 'provisioning',
    tenantId: tenantA,
    status: 'running',
    steps: [step('register', 'succeeded'), step('allocate', 'pending')],
    error: null,
    createdAt: '2026-01-01T00:00:00Z',
    finishedAt: null,
    ...more,
  });
  it('is a stream of steps that ends when it is done', async () => {
    let reads = 0;
    owners.answer = () => ({
      status: 200,
      body:
        reads++ < 2
          ? operation({})
          : operation({
              status: 'succeeded',
              steps: [step('register', 'succeeded'), step('allocate', 'succeeded')],
              finishedAt: '2026-01-01T00:00:01Z',
            }),
    });
    const { status, headers, text } = await ask('GET', `/api/v1/platform/operations/${operationId}/events`);
    expect(status).toBe(200);
    expect(headers.get('content-type')).toMatch(/^text\/event-stream/);
    const events = [...text.matchAll(/event: (\w+)\ndata: (.*)\n/g)].map(
      ([, event, data]) => `${event} ${JSON.parse(data ?? '').name ?? JSON.parse(data ?? '').status}`,
    );
    expect(events).toEqual(['step register', 'step allocate', 'done succeeded']);
  });
  it('is shown to nobody whose key was revoked meanwhile', async () => {
    const { key } = createApiKey('live');
    principals.set(hashApiKey(key), { kind: 'staff', id: 'leaver', permissions: ['operation:read'] });
    let reads = 0;
    owners.answer = () => ({ status: 200, body: operation({ steps: [{ ...step('register', 'running'), attempt: ++reads }] }) });
    const abort = AbortSignal.timeout(8_000);
    const stream = await fetch(`${url}/api/v1/platform/operations/${operationId}/events`, {
      headers: { authorization: `Bearer ${key}` },
      signal: abort,
    });
    expect(stream.status).toBe(200);
    principals.delete(hashApiKey(key));
    const text = await stream.text();
    expect(text).toContain('event: step');
    expect(text).not.toContain('event: done');
    expect(reads).toBeLessThan(4);
  });
  it('goes on while it is not known whether it may', async () => {
    const { key } = createApiKey('live');
    principals.set(hashApiKey(key), { kind: 'staff', id: 'patient', permissions: ['operation:read'] });
    let reads = 0;
    owners.answer = () => ({
      status: 200,
      body: operation(reads++ < 3 ? {} : { status: 'succeeded', finishedAt: '2026-01-01T00:00:01Z' }),
    });
    const stream = await fetch(`${url}/api/v1/platform/operations/${operationId}/events`, { headers: { authorization: `Bearer ${key}` } });
    const asked = vi.spyOn(owners, 'call').mockRejectedValueOnce(new DomainError('service.unavailable'));
    expect(await stream.text()).toContain('event: done');
    expect(asked).toHaveBeenCalled();
    asked.mockRestore();
  });
  it('of an unknown operation is a problem', async () => {
    owners.answer = () => {
      throw new DomainError('operation.not_found');
    };
    expect(await ask('GET', `/api/v1/platform/operations/${operationId}/events`)).toMatchObject({
      status: 404,
      json: { code: 'operation.not_found' },
    });
    expect(await ask('GET', `/api/v1/platform/operations/${operationId}/events`, { key: keyOfA })).toMatchObject({ status: 403 });
  });
});

describe('a reseller’s credentials', () => {
  beforeAll(() => {
    life.set(tenantB, ['TenantRegistered']);
    parents.set(tenantB, tenantA);
  });
  afterAll(() => {
    life.delete(tenantB);
    parents.delete(tenantB);
  });

  it('reach its child, and the service is told that it is one', async () => {
    expect((await ask('GET', `/api/tenants/${tenantB}/quotas`, { key: keyOfA })).status).not.toBe(404);
    expect(owners.forwarded[0]?.command.principal).toMatchObject({ tenantId: tenantA, childId: tenantB });
  });
  it('may do to a child what it may not do to itself', async () => {
    owners.answer = () => ({ status: 200, body: tenant(tenantB) });
    expect((await ask('POST', `/api/tenants/${tenantB}/status/suspended`, { key: keyOfA })).status).not.toBe(403);
    expect((await ask('POST', `/api/tenants/${tenantA}/status/suspended`, { key: keyOfA })).status).toBe(403);
    expect(owners.forwarded).toHaveLength(1);
  });
  it('do not reach a tenant that is nobody’s or another’s child', async () => {
    expect((await ask('GET', `/api/tenants/${operationId}/quotas`, { key: keyOfA })).status).toBe(404);
    const other = '44444444-4444-4444-8444-444444444444';
    life.set(other, ['TenantRegistered']);
    parents.set(other, operationId);
    expect((await ask('GET', `/api/tenants/${other}/quotas`, { key: keyOfA })).status).toBe(404);
    life.delete(other);
    parents.delete(other);
    expect(owners.forwarded).toEqual([]);
  });
  const byId = faces.filter(({ path, scope }) => (scope === 'tenant' || scope === 'reseller') && path.includes(':tenantId'));
  const childWith = (events: { type: string; data: object }[]): string => {
    const id = newId();
    parents.set(id, tenantA);
    life.set(id, ['TenantRegistered', ...events]);
    return id;
  };
  const reply = async (id: string, { method, path }: (typeof faces)[number]) => {
    const url = path.replace(':tenantId', id).replaceAll(/:\w+/g, 'active');
    return ask(method, url, { key: keyOfA, ...(method === 'GET' ? {} : { body: {} }) });
  };
  it.each([
    ['suspended', [{ type: 'TenantSuspended', data: { cause: 'manual' } }]],
    [
      'suspended',
      [
        { type: 'TenantSuspended', data: { resellerId: tenantA } },
        { type: 'TenantSuspended', data: { cause: 'policy' } },
      ],
    ],
    ['archived', [{ type: 'TenantArchived', data: { cause: 'manual' } }]],
    [
      'archived',
      [
        { type: 'TenantSuspended', data: { resellerId: tenantA } },
        { type: 'TenantArchived', data: {} },
      ],
    ],
    ['deleting', [{ type: 'TenantDeletionScheduled', data: {} }]],
  ])('reach nothing of a child that the platform has %s, by any route', async (status, events) => {
    const id = childWith(events);
    expect(byId.length).toBeGreaterThan(20);
    for (const face of byId) {
      const { status: answered, json } = await reply(id, face);
      expect([face.method, face.path, answered, json.code]).toEqual([face.method, face.path, 403, `tenant.${status}`]);
    }
    expect(owners.forwarded).toEqual([]);
  });
  it.each([
    ['suspended', [{ type: 'TenantSuspended', data: { resellerId: tenantA } }]],
    ['archived', [{ type: 'TenantArchived', data: { resellerId: tenantA } }]],
    [
      'suspended, which went and came back with the archive of the platform',
      [
        { type: 'TenantSuspended', data: { resellerId: tenantA } },
        { type: 'TenantArchived', data: {} },
        { type: 'TenantRestored', data: { status: 'suspended' } },
      ],
    ],
    ['open, with which it was suspended', [{ type: 'TenantSuspended', data: { parentId: tenantA } }]],
  ])('reach a child that they have %s, by every route', async (_status, events) => {
    const id = childWith(events);
    for (const face of byId)
      expect([face.path, (await reply(id, face)).json?.code]).not.toEqual([face.path, expect.stringMatching(/^tenant\./)]);
  });
  it('do not reach the platform’s side of a child', async () => {
    expect((await ask('GET', `/api/v1/platform/tenants/${tenantB}`, { key: keyOfA })).status).toBe(403);
  });
  it('may name a position of a child, and of no other tenant', async () => {
    const at = (id: string) => ask('GET', '/api/tenants', { key: keyOfA, headers: { 'tenantry-min-position': `${id}:3` } });
    owners.answer = () => ({ status: 200, body: { items: [], nextCursor: null }, total: 0 });
    expect((await at(tenantB)).status).toBe(200);
    expect((await at(operationId)).status).toBe(404);
  });
});

describe('a tenant that floods', () => {
  it('has only so many requests in flight and waiting; the rest are refused, and others are not held up', async () => {
    const flood = 600;
    let running = 0;
    let most = 0;
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    owners.answer = async ({ command: { principal } }) => {
      if (principal.tenantId !== tenantA) return { status: 200, body: tenant(tenantB) };
      running += 1;
      most = Math.max(most, running);
      await held;
      running -= 1;
      return { status: 200, body: tenant(tenantA) };
    };
    const asked = Array.from({ length: flood }, () => ask('GET', `/api/tenants/${tenantA}`, { key: keyOfA }));
    const settled = { done: 0 };
    for (const one of asked) void one.then(() => settled.done++);
    // All that is neither worked on nor waits has been refused by then.
    await vi.waitFor(() => expect(settled.done).toBe(flood - IN_FLIGHT - 500), { timeout: 5_000, interval: 20 });
    expect(running).toBe(IN_FLIGHT);
    // The platform, on the same tenant too, and another tenant are served while the flood stands.
    expect((await ask('GET', `/api/v1/platform/tenants/${tenantA}`)).status).not.toBe(429);
    release();
    const replies = await Promise.all(asked);
    const statuses = replies.map(({ status }) => status);
    expect(statuses.filter((status) => status === 429)).toHaveLength(flood - IN_FLIGHT - 500);
    expect(statuses.filter((status) => status !== 429)).toHaveLength(IN_FLIGHT + 500);
    expect(most).toBe(IN_FLIGHT);
    const refused = replies.find(({ status }) => status === 429);
    expect(refused?.json).toMatchObject({ code: 'tenant.busy' });
    expect(refused?.headers.get('retry-after')).toBe('1');
  });
});
