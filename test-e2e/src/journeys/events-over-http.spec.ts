import { beforeAll, describe, expect, it } from 'vitest';
import type { Api } from '../harness/api.js';
import { sharedSystem } from '../harness/system.js';
import { activeTenant, eventsOf, PLATFORM, unique } from '../harness/tenants.js';

let api: Api;
let tenantId: string;
let foreignId: string;
beforeAll(async () => {
  ({ api } = await sharedSystem());
  [tenantId, foreignId] = await Promise.all(
    ['ada', 'eve'].map(async (person) => {
      const { tenant } = await activeTenant(api, {
        name: unique('Http'),
        adminEmail: `${person}@http.example`,
        settings: { motto: 'onward' },
      });
      return tenant.id as string;
    }) as [Promise<string>, Promise<string>],
  );
});

const keyWith = async (permissions: string[]): Promise<Api> =>
  api.as((await api.post(`${PLATFORM}/tenants/${tenantId}/api-keys`, { name: 'reader', permissions })).body.key);

describe('events over HTTP', () => {
  it('are the same for the tenant itself, and say when their end is reached', async () => {
    const events = await eventsOf(api, tenantId);
    const tenant = await keyWith(['event:read']);
    const found: any[] = [];
    for (;;) {
      const { status, body, headers } = await tenant.get(`/api/tenants/${tenantId}/events?after=${found.length - 1}&limit=7`);
      expect(status).toBe(200);
      found.push(...body);
      if (found.length >= Number(headers.get('x-total-count'))) break;
      expect(body).toHaveLength(7);
    }
    expect(found.map(({ position, id, type }) => [position, id, type]).slice(0, events.length)).toEqual(
      events.map(({ position, id, type }) => [position, id, type]),
    );
    expect(found[0]).toMatchObject({ tenant_id: tenantId, stream: 'tenant', stream_version: 0, recorded_at: events[0].recordedAt });
    for (const query of ['after=-2', 'after=x', 'limit=0', 'limit=201', 'after=9007199254740992'])
      expect((await api.get(`${PLATFORM}/tenants/${tenantId}/events?${query}`)).status, query).toBe(400);
  });

  it('have their personal data decrypted for whoever may see it', async () => {
    const events = await eventsOf(api, tenantId);
    const positions = events.map(({ position }) => position).slice(0, 20);
    const platform = await api.post(`${PLATFORM}/tenants/${tenantId}/events/decrypt`, { positions });
    expect(platform.status, platform.text).toBe(200);
    expect(platform.body.items.map(({ position, id, type }: any) => [position, id, type])).toEqual(
      events.slice(0, 20).map(({ position, id, type }) => [position, id, type]),
    );
    const registered = platform.body.items.find(({ type }: any) => type === 'TenantRegistered');
    expect(registered.data).toMatchObject({ adminEmail: 'ada@http.example', settings: [{ key: 'motto', value: '"onward"' }] });
    expect(platform.text).not.toContain('"enc"');
    const tenant = await keyWith(['event:read', 'personal:read']);
    expect((await tenant.post(`/api/tenants/${tenantId}/events/decrypt`, { positions })).body).toEqual(platform.body);
  });

  it('are not decrypted for anybody else', async () => {
    const body = { positions: [0] };
    const [reader, nosy, tenant] = await Promise.all([
      keyWith(['event:read']),
      keyWith(['personal:read']),
      keyWith(['event:read', 'personal:read']),
    ]);
    expect((await reader.post(`/api/tenants/${tenantId}/events/decrypt`, body)).status).toBe(403);
    expect((await nosy.post(`/api/tenants/${tenantId}/events/decrypt`, body)).status).toBe(403);
    expect((await tenant.post(`/api/tenants/${foreignId}/events/decrypt`, body)).status).toBe(404);
    expect((await tenant.post(`${PLATFORM}/tenants/${tenantId}/events/decrypt`, body)).status).toBe(403);
    expect((await api.post(`${PLATFORM}/tenants/00000000-0000-4000-8000-000000000000/events/decrypt`, body)).status).toBe(404);
    const path = `${PLATFORM}/tenants/${tenantId}/events/decrypt`;
    for (const positions of [[], [-1], ['0'], [0.5], [0, 1_000], Array.from({ length: 201 }, (_, n) => n)]) {
      const refused = await api.post(path, { positions });
      expect(refused.status, JSON.stringify(positions).slice(0, 50)).toBe(422);
      expect(refused.body.errors[0].field).toMatch(/^positions/);
    }
  });
});
