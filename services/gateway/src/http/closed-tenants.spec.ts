import { DomainError } from '@tenantry/contracts/errors';
import { newId } from '@tenantry/contracts/ids';
import { faces, routes } from '@tenantry/contracts/registry';
import { describe, expect, it } from 'vitest';
import { endpointsOf } from './endpoint.js';
import { keyOfA, serveHttp, tenant, tenantA, tenantB } from './http-server.fixture.js';

const { owners, ask, life, windows } = serveHttp();

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
