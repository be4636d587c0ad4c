import { faces, routes } from '@tenantry/contracts/registry';
import { describe, expect, it } from 'vitest';
import type { Subject } from '../probe.js';
import type { ApiAnswer, TenantApi } from '../tenant-api.js';
import { ApiProbe, UNUSABLE_BODY } from './api.probe.js';

const own = '6f1d3c52-7c0e-4c0a-9d5e-1f5a8f3c2b77';
const other = '7e2d3c52-7c0e-4c0a-9d5e-1f5a8f3c2b78';
const subject = { tenantId: own, peer: { tenantId: other }, nonce: 'n' } as Subject;
const answer = (status: number, body: unknown = null): ApiAnswer => ({ status, body, durationMs: 1 });

/** As the gateway answers; `differently` may say otherwise. */
function attempts(differently: (path: string, key: string | null, method: string) => ApiAnswer | null = () => null) {
  const ask = async (method: string, path: string, headers: Record<string, string> = {}, body?: unknown) => {
    // A check of a boundary must break nothing where that has given way.
    expect(method === 'GET' || body === UNUSABLE_BODY || path.endsWith('/quotas/check'), `${method} ${path}`).toBe(true);
    const key = headers['authorization']?.slice('Bearer '.length) ?? null;
    const different = differently(path, key, method);
    if (different) return different;
    if (path === '/api/tenants/current') return answer(200, { tenant_id: key });
    if (key !== own && key !== other) return answer(401, { code: 'auth.unauthenticated' });
    if (!path.startsWith('/api/tenants/')) return answer(403, { code: 'auth.forbidden' });
    return path.includes(key) ? answer(200, {}) : answer(404, { code: 'tenant.not_found' });
  };
  const api = { key: async (tenantId: string) => tenantId, ask } as unknown as TenantApi;
  return new ApiProbe(api).attempts(subject, new AbortController().signal);
}
const breachedIn = (found: Awaited<ReturnType<typeof attempts>>) => found.filter(({ outcome }) => outcome === 'breached');

describe('the API, tried', () => {
  it('holds where everything is refused for who asks', async () => {
    const found = await attempts();
    expect(breachedIn(found)).toEqual([]);
    expect(found.length).toBeGreaterThan(100);
  });

  it('has given way where a request got as far as what it names', async () => {
    const missing = await attempts((path, key, method) =>
      method === 'GET' && key === own && path === `/api/tenants/${other}/settings/x` ? answer(404, { code: 'settings.not_found' }) : null,
    );
    expect(breachedIn(missing)).toMatchObject([{ target: 'GET /api/tenants/:tenantId/settings/:key' }]);
    const malformed = await attempts((path, _key, method) =>
      `${method} ${path}` === 'GET /api/v1/platform/tenants' ? answer(400, { code: 'request.malformed' }) : null,
    );
    expect(breachedIn(malformed)).toMatchObject([{ target: 'GET /api/v1/platform/tenants', detail: 'it answered 400 request.malformed' }]);
  });

  it('has given way where a write of another tenant got as far as what is asked', async () => {
    const found = await attempts((path, key, method) =>
      method === 'DELETE' && key === own && path.startsWith(`/api/tenants/${other}/files/`)
        ? answer(422, { code: 'request.invalid' })
        : null,
    );
    expect(breachedIn(found)).toMatchObject([
      { target: 'DELETE /api/tenants/:tenantId/files/:key', detail: 'it answered 422 request.invalid' },
    ]);
  });

  it('asks for what is another tenant’s by its id, below its own path', async () => {
    const id = '6f1d3c52-7c0e-4c0a-9d5e-1f5a8f3c2b79';
    const listed = (status: number) => (path: string, key: string | null) => {
      if (path === `/api/tenants/${other}/event-subscriptions` && key === other) return answer(200, [{ id }]);
      return path === `/api/tenants/${own}/event-subscriptions/${id}` ? answer(status) : null;
    };
    const at = (found: Awaited<ReturnType<typeof attempts>>) =>
      found.find(({ attempt }) => attempt.includes('below its own path'))?.outcome;
    expect([at(await attempts()), at(await attempts(listed(404))), at(await attempts(listed(200)))]).toEqual([
      'not_applicable',
      'held',
      'breached',
    ]);
  });

  it('says nothing of what is below the path of a tenant that is not served', async () => {
    const id = '6f1d3c52-7c0e-4c0a-9d5e-1f5a8f3c2b79';
    const refused = (code: string) => (path: string, key: string | null) => {
      if (path === `/api/tenants/${other}/operations` && key === other) return answer(200, [{ id }]);
      return path === `/api/tenants/${own}/operations/${id}` ? answer(403, { code }) : null;
    };
    const at = (found: Awaited<ReturnType<typeof attempts>>) =>
      found.find(({ attempt, target }) => attempt.includes('below its own path') && target.includes('operations'))?.outcome;
    expect(at(await attempts(refused('tenant.suspended')))).toBe('not_applicable');
    expect(at(await attempts(refused('auth.forbidden')))).toBe('breached');
  });

  it('has given way where it believes credentials that nobody issued', async () => {
    const found = await attempts((path, key) => (key?.startsWith('tnt_') && path === `/api/tenants/${own}` ? answer(200, {}) : null));
    expect(breachedIn(found).map(({ boundary }) => boundary)).toEqual(['tokens']);
  });

  it('sends writes that no route takes', () => {
    const writes = [...routes, ...faces].filter(({ method }) => method !== 'GET');
    expect(writes.length).toBeGreaterThan(50);
    for (const { method, path, body } of writes) expect(body?.safeParse(UNUSABLE_BODY).success ?? false, `${method} ${path}`).toBe(false);
  });

  it('says nothing with a key that ended meanwhile', async () => {
    await expect(attempts((_path, key) => (key === own ? answer(401, { code: 'auth.unauthenticated' }) : null))).rejects.toMatchObject({
      code: 'service.unavailable',
    });
  });
});
