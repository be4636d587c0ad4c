import { describe, expect, it } from 'vitest';
import { ApiError, type ApiOptions, TenantryApi } from './api.js';

/** An API whose server answers these one after the other, and what it was asked. */
function given(answers: (Response | Error | 'hang')[], options: Partial<ApiOptions> = {}) {
  const asked: { url: string; method: string; headers: Record<string, string>; body: unknown }[] = [];
  const fetch = (async (url: string, init: RequestInit) => {
    asked.push({
      ...{ url, method: init.method as string, headers: init.headers as Record<string, string> },
      body: init.body === undefined ? undefined : JSON.parse(init.body as string),
    });
    const answer = answers.shift();
    if (answer === undefined) throw new Error('was asked too often');
    if (answer instanceof Error) throw answer;
    if (answer !== 'hang') return answer;
    return new Promise<Response>((_, reject) => init.signal?.addEventListener('abort', () => reject(init.signal?.reason)));
  }) as typeof globalThis.fetch;
  return { api: new TenantryApi({ url: 'https://tenantry.example/', apiKey: 'tnt_test_key', fetch, ...options }), asked };
}
const json = (body: unknown, status = 200, headers: Record<string, string> = {}) => new Response(JSON.stringify(body), { status, headers });
const away = () => json({ code: 'service.unavailable', detail: 'away' }, 503);

describe('the API client', () => {
  it('tries again what failed for a while, with the same Idempotency-Key', async () => {
    const { api, asked } = given([
      away(),
      new TypeError('fetch failed'),
      json({}, 429, { 'retry-after': '0' }),
      json({ items: [], remaining: [] }),
    ]);
    expect(await api.decrypt('t', [1, 2])).toEqual({ items: [], remaining: [] });
    expect(asked).toHaveLength(4);
    expect(asked[0]).toMatchObject({
      ...{ url: 'https://tenantry.example/api/v1/platform/tenants/t/events/decrypt', method: 'POST', body: { positions: [1, 2] } },
      headers: { authorization: 'Bearer tnt_test_key' },
    });
    expect(new Set(asked.map(({ headers }) => headers['idempotency-key'])).size).toBe(1);
    expect(asked[0]?.headers['idempotency-key']).toMatch(/^[0-9a-f-]{36}$/);
  });

  it('gives up after its attempts, and waits as long as it is told to', async () => {
    const { api, asked } = given([json({ code: 'rate.limited' }, 429, { 'retry-after': '1' }), away(), away()], { attempts: 2 });
    const begun = performance.now();
    await expect(api.events('t', -1)).rejects.toMatchObject({ status: 503, code: 'service.unavailable' });
    expect(performance.now() - begun).toBeGreaterThan(990);
    expect(asked).toHaveLength(2);
  });

  it('says what was refused, at once', async () => {
    const errors = [{ field: 'positions', rule: 'span', message: 'must lie together' }];
    const { api, asked } = given([
      json({ code: 'request.invalid', detail: 'must lie together', errors }, 422),
      new Response('<html>', { status: 403 }),
    ]);
    const refused = await api.decrypt('t', [1]).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(ApiError);
    expect(refused).toMatchObject({ status: 422, code: 'request.invalid', message: 'must lie together', errors });
    await expect(api.events('t', 0)).rejects.toMatchObject({ status: 403, code: 'http_403' });
    expect(asked).toHaveLength(2);
  });

  it('does not wait for ever for an answer', async () => {
    const { api } = given(['hang', 'hang'], { timeoutMs: 20, attempts: 2 });
    await expect(api.events('t', 0)).rejects.toMatchObject({ status: 0, code: 'no_answer' });
  });

  it('ends when it is told to', async () => {
    const { api } = given(['hang']);
    const controller = new AbortController();
    const asking = api.events('t', 0, 10, controller.signal);
    controller.abort(new Error('enough'));
    await expect(asking).rejects.toThrow('enough');
  });

  it('reads the tenant surface as it reads the platform’s', async () => {
    const row = {
      ...{
        tenant_id: 't',
        position: 3,
        id: 'e',
        context: 'tenant',
        type: 'TenantUpdated',
        version: 2,
        stream: 'tenant',
        stream_version: 1,
      },
      ...{ data: {}, metadata: {}, recorded_at: '2026-01-01T00:00:00Z', previous_in_context: null, body_hash: 'x', leaf: 'y' },
    };
    const { api, asked } = given([json([row], 200, { 'x-total-count': '9' })], { surface: 'tenant' });
    const page = await api.events('t', 2, 1);
    expect(page).toMatchObject({
      head: 8,
      items: [{ tenantId: 't', position: 3, recordedAt: '2026-01-01T00:00:00Z', previousInContext: null }],
    });
    expect(asked[0]?.url).toBe('https://tenantry.example/api/tenants/t/events?after=2&limit=1');
  });
});
