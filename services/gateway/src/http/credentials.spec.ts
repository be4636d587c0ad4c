import { newId } from '@tenantry/contracts/ids';
import { faces } from '@tenantry/contracts/registry';
import { createApiKey } from '@tenantry/crypto/api-key';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { keyOfA, operationId, serveHttp, staffKey, tenant, tenantA, tenantB, weakKey } from './http-server.fixture.js';

const { owners, ask, create, life, parents } = serveHttp();

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
