import { DomainError } from '@tenantry/contracts/errors';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { accepted, IN_FLIGHT, keyOfA, operationId, serveHttp, tenant, tenantA, tenantB } from './http-server.fixture.js';

const { owners, ask, create } = serveHttp();

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
  it('If-None-Match: * creates only: 412 where it is there, and nothing is forwarded but the look', async () => {
    const path = `/api/v1/platform/tenants/${tenantA}/settings/motto`;
    const put = (headers: Record<string, string>) =>
      ask('PUT', path, { body: { value: 'hi' }, headers: { 'if-none-match': '*', ...headers } });
    const setting = { status: 200, body: { key: 'motto' }, version: 1 };
    owners.answer = () => setting;
    expect(await put({})).toMatchObject({ status: 412, json: { code: 'precondition.failed' } });
    expect(owners.forwarded.map(({ route }) => route)).toEqual(['settings.get']);
    owners.forwarded = [];
    owners.answer = ({ route }) => {
      if (route === 'settings.get') throw new DomainError('settings.not_found');
      return setting;
    };
    expect((await put({ 'idempotency-key': 'new' })).status).toBe(200);
    expect(owners.forwarded.map(({ route, command }) => [route, command.onlyNew])).toEqual([
      ['settings.get', undefined],
      ['settings.put', true],
    ]);
    owners.answer = () => setting;
    expect(await put({ 'idempotency-key': 'new' })).toMatchObject({ status: 200 });
    expect(await put({ 'if-none-match': '"3"' })).toMatchObject({ status: 422, json: { errors: [{ field: 'If-None-Match' }] } });
    const held = { body: { held: true }, headers: { 'if-none-match': '*' } };
    expect((await ask('PUT', `/api/v1/platform/tenants/${tenantA}/legal-hold`, held)).status).toBe(412);
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
