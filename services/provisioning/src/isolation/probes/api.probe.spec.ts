import { describe, expect, it } from 'vitest';
import type { Subject } from '../probe.js';
import type { ApiAnswer, TenantApi } from '../tenant-api.js';
import { ApiProbe } from './api.probe.js';

const own = '6f1d3c52-7c0e-4c0a-9d5e-1f5a8f3c2b77';
const other = '6f1d3c52-7c0e-4c0a-9d5e-1f5a8f3c2b78';
const subject = { tenantId: own, peer: { tenantId: other }, nonce: 'n' } as Subject;
const answer = (status: number, body: unknown = null): ApiAnswer => ({ status, body, durationMs: 1 });

/** As the gateway answers; `differently` may say otherwise. */
function attempts(differently: (path: string, key: string | null) => ApiAnswer | null = () => null) {
  const ask = async (_method: string, path: string, headers: Record<string, string> = {}) => {
    const key = headers['authorization']?.slice('Bearer '.length) ?? null;
    const different = differently(path, key);
    if (different) return different;
    if (path === '/api/tenants/current') return answer(200, { tenant_id: key });
    if (key === null) return answer(401, { code: 'auth.unauthenticated' });
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
    const missing = await attempts((path, key) =>
      key === own && path === `/api/tenants/${other}/settings/x` ? answer(404, { code: 'settings.not_found' }) : null,
    );
    expect(breachedIn(missing)).toMatchObject([{ target: 'GET /api/tenants/:tenantId/settings/:key' }]);
    const malformed = await attempts((path) => (path === '/api/v1/platform/tenants' ? answer(400, { code: 'request.malformed' }) : null));
    expect(breachedIn(malformed)).toMatchObject([{ target: 'GET /api/v1/platform/tenants', detail: 'it answered 400 request.malformed' }]);
  });

  it('says nothing with a key that ended meanwhile', async () => {
    await expect(attempts((_path, key) => (key === own ? answer(401, { code: 'auth.unauthenticated' }) : null))).rejects.toMatchObject({
      code: 'service.unavailable',
    });
  });
});
