import { eventually } from '@tenantry/testing/eventually';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Api, Reply } from '../harness/api.js';
import { sharedSystem } from '../harness/system.js';
import { activeTenant, eventsOf, PLATFORM, unique } from '../harness/tenants.js';

let api: Api;
beforeAll(async () => {
  ({ api } = await sharedSystem());
});
const total = async () => Number((await api.get('/api/tenants?limit=1&offset=0')).headers.get('x-total-count'));

/** A problem document that names the field; no stack, no SQL, no path of a file. */
function expectProblem(reply: Reply, field?: string) {
  expect(reply.status).toBeGreaterThanOrEqual(400);
  expect(reply.status).toBeLessThan(500);
  expect(reply.headers.get('content-type')).toContain('application/problem+json');
  expect(reply.body).toMatchObject({
    type: expect.any(String),
    title: expect.any(String),
    status: reply.status,
    code: expect.any(String),
    detail: expect.any(String),
  });
  expect(reply.text).not.toMatch(/at .*\.(js|ts):\d+|node_modules|SELECT |INSERT /);
  if (field !== undefined) {
    expect(reply.body.errors.map((error: any) => error.field)).toContain(field);
    for (const error of reply.body.errors)
      expect(error).toMatchObject({ field: expect.any(String), rule: expect.stringMatching(/.+/), message: expect.stringMatching(/.+/) });
  }
}

const name = 'Fine';
const bodies: [string, unknown, string][] = [
  ['no name', {}, 'name'],
  ['an empty name', { name: '' }, 'name'],
  ['a blank name', { name: '   ' }, 'name'],
  ['a name of 201 characters', { name: 'x'.repeat(201) }, 'name'],
  ['a name with NUL', { name: 'a\u0000b' }, 'name'],
  ['a name with a right-to-left mark', { name: 'a\u202eb' }, 'name'],
  ['a name with a lone surrogate', { name: 'a\ud800b' }, 'name'],
  ['a name that is a number', { name: 5 }, 'name'],
  ['a name that is an object', { name: { $ne: null } }, 'name'],
  ['an unknown plan', { name, plan: 'platinum' }, 'plan'],
  ['an unknown plan as an object', { name, plan: { id: 'platinum', trial: true } }, 'plan.id'],
  ['a trial of no days', { name, plan: { id: 'free', trial: true, duration: 0 } }, 'plan.duration'],
  ['an invalid slug', { name, slug: '../etc' }, 'slug'],
  ['a slug with capitals', { name, slug: 'Acme' }, 'slug'],
  ['an invalid domain', { name, domain: 'not a host' }, 'domain'],
  ['a domain with an empty label', { name, domain: 'a..example.com' }, 'domain'],
  ['an address as domain', { name, domain: '127.0.0.1' }, 'domain'],
  ['a reserved subdomain', { name, domain: 'www' }, 'domain'],
  ['an unknown time zone', { name, timezone: 'Mars/Olympus' }, 'timezone'],
  ['an unknown currency', { name, currency: 'XXY' }, 'currency'],
  ['an unknown locale', { name, locale: 'not_a_locale' }, 'locale'],
  ['a bad time zone in the nested form', { name, configuration: { timezone: 'x y' } }, 'configuration.timezone'],
  ['a wrong e-mail address', { name, adminEmail: 'nobody' }, 'adminEmail'],
  ['an unknown isolation', { name, isolation: 'cardboard' }, 'isolation'],
  ['an unknown resource', { name, limits: { unicorns: 1 } }, 'limits.unicorns'],
  ['a negative limit', { name, limits: { users: -1 } }, 'limits.users'],
  ['a limit with a wrong unit', { name, limits: { storage: '5 parsecs' } }, 'limits.storage'],
  ['an unknown field', { name, nme: 'typo' }, 'nme'],
  ['an unknown nested field', { name, domain: { value: 'shop', color: 'red' } }, 'domain.color'],
  ['wrong types everywhere', { name: [], plan: 5, tags: 'x' }, 'tags'],
];

describe('a creation with', () => {
  it.each(bodies)('%s is refused, naming the field', async (_what, body, field) => {
    const reply = await api.post(`${PLATFORM}/tenants`, body);
    expectProblem(reply, field);
    expect([400, 422]).toContain(reply.status);
  });

  it('a taken slug is refused', async () => {
    const slug = unique('taken');
    await activeTenant(api, { name: 'First', slug, isolation: 'shared' });
    const reply = await api.post(`${PLATFORM}/tenants`, { name: 'Second', slug, isolation: 'shared' });
    expectProblem(reply, 'slug');
    expect(reply.status).toBe(409);
  });

  it('quotes, markup and path parts in its name works and stays as it is', async () => {
    for (const odd of [
      `O'Reilly "& Söns"; DROP TABLE tenants;--`,
      '../../etc/passwd',
      '<script>alert(1)</script>',
      '#{7*7} {{7*7}} %s %n',
      '株式会社テナント',
    ]) {
      const { tenant } = await activeTenant(api, { name: odd, isolation: 'shared' });
      expect(tenant.name).toBe(odd);
      expect(tenant.slug).toMatch(/^[a-z0-9][a-z0-9-]*[a-z0-9]$/);
    }
  });

  it('nothing valid leaves nothing behind', async () => {
    const before = await total();
    await Promise.all(bodies.map(([, body]) => api.post(`${PLATFORM}/tenants`, body)));
    expect(await total()).toBe(before);
  });
});

describe('a request that', () => {
  const headers = () => ({ authorization: `Bearer ${api.key}`, 'content-type': 'application/json' });
  it.each([
    ['is broken JSON', '{"name": '],
    ['is no JSON', 'name=x'],
    ['has duplicate braces', '{{}}'],
    ['is a bare string', '"x"'],
    ['is an array', '[]'],
    ['is null', 'null'],
    ['pollutes prototypes', '{"name":"x","__proto__":{"admin":true}}'],
    ['is empty', ''],
  ])('%s is refused', async (_what, body) => {
    expectProblem(await api.raw('POST', `${PLATFORM}/tenants`, { headers: headers(), body }));
  });
  it('is over a megabyte is refused', async () => {
    const body = JSON.stringify({ name: 'x'.repeat(1_200_000) });
    // The answer comes before the body is read, and the connection closes: a client that still writes may meet that first.
    const reply = await eventually(() => api.raw('POST', `${PLATFORM}/tenants`, { headers: headers(), body }), {
      what: 'the refusal to be read',
    });
    expectProblem(reply);
    expect(reply.status).toBe(413);
  });
  it('has a name of a megabyte is refused', async () => {
    expectProblem(await api.post(`${PLATFORM}/tenants`, { name: 'x'.repeat(900_000) }), 'name');
  });
  it('is not JSON by its type is refused', async () => {
    const reply = await api.raw('POST', `${PLATFORM}/tenants`, { headers: { ...headers(), 'content-type': 'text/plain' }, body: '{}' });
    expectProblem(reply);
    expect(reply.status).toBe(415);
  });
  it.each([
    ['no key', undefined],
    ['a key of nobody', 'Bearer tnt_live_0000000000000000000000000000000000'],
    ['another scheme', 'Basic YTpi'],
    ['rubbish', 'Bearer \u00ff'],
  ])('has %s is not authenticated', async (_what, authorization) => {
    const reply = await api.raw('GET', `${PLATFORM}/tenants`, { headers: authorization ? { authorization } : {} });
    expectProblem(reply);
    expect(reply.status).toBe(401);
    expect(reply.headers.get('www-authenticate')).toContain('Bearer');
  });
  it('asks for what is not there gets 404', async () => {
    for (const path of [
      '/nowhere',
      `${PLATFORM}/nowhere`,
      `${PLATFORM}/tenants/00000000-0000-4000-8000-000000000000`,
      `${PLATFORM}/operations/00000000-0000-4000-8000-000000000000`,
    ]) {
      const reply = await api.get(path);
      expectProblem(reply);
      expect(reply.status).toBe(404);
    }
  });
  it('uses a method that is not there gets 405', async () => {
    const reply = await api.delete(`${PLATFORM}/tenants`);
    expectProblem(reply);
    expect(reply.status).toBe(405);
  });
  it.each([
    ['limit', '?limit=0'],
    ['limit', '?limit=x'],
    ['status', '?status=sleeping'],
    ['cursor', '?cursor=%00'],
    ['color', '?color=red'],
  ])('has a wrong query parameter %s is refused', async (field, query) =>
    expectProblem(await api.get(`${PLATFORM}/tenants${query}`), field),
  );
  it('names a tenant that is no id is refused', async () => {
    for (const id of ['x', "1' OR '1'='1", '%00', '..%2f..']) expectProblem(await api.get(`${PLATFORM}/tenants/${encodeURIComponent(id)}`));
  });
  it('has a wrong idempotency key is refused', async () => {
    expectProblem(await api.post(`${PLATFORM}/tenants`, { name }, { 'idempotency-key': 'x'.repeat(300) }));
  });
  it('has a wrong If-Match is refused', async () => {
    const { tenant } = await activeTenant(api, { name: 'Match', isolation: 'shared' });
    expectProblem(await api.put(`${PLATFORM}/tenants/${tenant.id}`, { name: 'X' }, { 'if-match': 'rubbish' }));
  });
});

describe('a change with', () => {
  let id: string;
  beforeAll(async () => {
    id = (await activeTenant(api, { name: 'Changing', isolation: 'shared' })).tenant.id;
  });
  const path = (rest = '') => `${PLATFORM}/tenants/${id}${rest}`;

  it.each([
    ['an unknown plan', '', { plan: 'platinum' }, 'plan'],
    ['an unknown plan as an object', '', { plan: { id: 'platinum' } }, 'plan.id'],
    ['a trial, which only a creation has', '', { plan: { id: 'pro', trial: true } }, 'plan.trial'],
    ['a blank name', '', { name: ' ' }, 'name'],
    ['no name', '', { name: null }, 'name'],
    ['a setting without a value', '/settings/motto', {}, 'value'],
    ['a setting of another type than it says', '/settings/motto', { value: 'x', type: 'number' }, 'value'],
    ['a setting of no known type', '/settings/motto', { value: 'x', type: 'date' }, 'type'],
    ['a setting of no known category', '/settings/motto', { value: 'x', category: 'secret' }, 'category'],
    ['a setting that is too long', '/settings/motto', { value: 'x'.repeat(20_000) }, 'value'],
    ['a setting with NUL', '/settings/motto', { value: 'a\u0000b' }, 'value'],
    ['a setting that is nested too deeply', '/settings/motto', { value: JSON.parse('['.repeat(40) + ']'.repeat(40)) }, undefined],
    ['the mask as a secret', '/settings/motto', { value: '********', encrypted: true }, 'value'],
    ['a security level that there is not', '/settings/security_level', { value: 'paranoid' }, 'value'],
    ['a time zone that there is not', '/settings/timezone', { value: 'Mars/Olympus' }, 'value'],
    ['a key that begins with a digit', '/settings/1st', { value: 'x' }, 'key'],
    ['a key of 256 characters', `/settings/${'x'.repeat(256)}`, { value: 'x' }, 'key'],
  ])('%s is refused, naming the field', async (_what, rest, body, field) => {
    expectProblem(await api.put(path(rest), body), field);
    // Only its registration was somebody's doing; what the services do may still be going on.
    const made = (await eventsOf(api, id)).filter(({ metadata }) => metadata.actor.kind !== 'service');
    expect(made.map(({ type }) => type)).toEqual(['TenantRegistered']);
  });

  it.each(['tenants', 'operations', 'approvals', 'maintenance-windows', 'isolation-checks', 'parked', 'consumers'])(
    'a page of %s behind a cursor that was never given is refused',
    async (list) => {
      const uuid = '00000000-0000-4000-8000-000000000001';
      const made = (cursor: string) => Buffer.from(cursor).toString('base64url');
      const tenants = (at: string) => made(JSON.stringify(['-createdAt', at, uuid]));
      for (const cursor of [
        'x',
        made(`1|${uuid}`),
        `${'9'.repeat(20)}_${uuid}`,
        made('-'),
        tenants('2026-02-30 00:00:00+00'),
        tenants('1'),
      ])
        expectProblem(await api.get(`${PLATFORM}/${list}?cursor=${cursor}`), 'cursor');
    },
  );

  it('a cause or a reason that cannot be is refused', async () => {
    expectProblem(await api.post(path('/suspend'), { cause: 'weather' }), 'cause');
    expectProblem(await api.post(path('/suspend'), { reason: 'a\u202eb' }), 'reason');
    expectProblem(await api.post(path('/status/sleeping')), 'status');
    expect((await api.post(path('/resurrect'))).status).toBe(404);
  });
  it('a transition that is not allowed is a conflict', async () => {
    const created = await api.post(`${PLATFORM}/tenants`, { name: 'Waiting', isolation: 'shared', activation: 'review' });
    const reply = await api.post(`${PLATFORM}/tenants/${created.body.id}/suspend`);
    expectProblem(reply);
    expect([reply.status, reply.body.code]).toEqual([409, 'tenant.transition_not_allowed']);
  });
  it.each([
    ['?at=yesterday', 'at'],
    ['?at=-1', 'at'],
    ['?at=999999999', 'at'],
    ['?at=2999-01-01T00:00:00Z', 'at'],
    ['?at=2026-02-30T00:00:00Z', 'at'],
    ['/history?order=sideways', 'order'],
    ['/history?limit=201', 'limit'],
    ['/history?cursor=x', 'cursor'],
    ['/history?from=1999999999', 'from'],
    ['/history/diff?from=first', 'from'],
    ['/history/diff?from=0&to=999999999', 'to'],
  ])('%s cannot be answered, and says why', async (rest, field) => {
    const reply = await api.get(path(rest));
    expectProblem(reply, field);
    expect([400, 422]).toContain(reply.status);
  });
  it('a tenant that there is not is not found', async () => {
    const other = `${PLATFORM}/tenants/00000000-0000-4000-8000-000000000000`;
    for (const rest of ['?at=0', '/history', '/history/diff?from=0&to=0', '/config'])
      expect((await api.get(other + rest)).status).toBe(404);
    for (const rest of ['', '/settings/motto', '/settings/timezone'])
      expect((await api.put(other + rest, rest ? { value: 'UTC' } : { name: 'X' })).status).toBe(404);
    expect((await api.post(`${other}/suspend`)).status).toBe(404);
  });
});
