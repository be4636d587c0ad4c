import { describe, expect, it } from 'vitest';
import { serveHttp, staffKey, tenantA } from './http-server.fixture.js';

const { owners, ask, create, request } = serveHttp();

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
    const response = await request('/api/v1/platform/tenants', {
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
