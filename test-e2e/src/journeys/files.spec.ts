import { beforeAll, expect, it } from 'vitest';
import type { Api } from '../harness/api.js';
import { sharedSystem } from '../harness/system.js';
import { activeTenant, PLATFORM, unique } from '../harness/tenants.js';

let api: Api;
let tenant: { id: string; key: string };
const LIMIT = 1_000;

beforeAll(async () => {
  ({ api } = await sharedSystem());
  const { tenant: made } = await activeTenant(api, { name: unique('Files'), limits: { storage: `${LIMIT} B` } });
  tenant = { id: made.id, key: (await api.post(`${PLATFORM}/tenants/${made.id}/api-keys`, { name: 'x' })).body.key };
}, 60_000);

const base64 = (bytes: number) => Buffer.alloc(bytes, 'x').toString('base64');
const own = (path = '') => `/api/tenants/${tenant.id}/files${path}`;
const used = async () => {
  const { body } = await api.as(tenant.key).get(`/api/tenants/${tenant.id}/quotas`);
  return body.find(({ resource_type }: any) => resource_type === 'storage');
};

it('are written, listed, read and deleted, over both surfaces, and count towards the quota', async () => {
  const as = api.as(tenant.key);
  expect(await used()).toMatchObject({ quota_limit: LIMIT, current_usage: 0 });
  const written = await as.put(own('/reports%2F2026%2Fmay.txt'), { content: base64(300) });
  expect([written.status, written.body]).toEqual([200, { key: 'reports/2026/may.txt', bytes: 300 }]);
  expect((await api.put(`${PLATFORM}/tenants/${tenant.id}/files/a`, { content: base64(200) })).status).toBe(200);
  expect((await used()).current_usage).toBe(500);
  expect((await as.get(own())).body).toEqual([
    { key: 'a', bytes: 200 },
    { key: 'reports/2026/may.txt', bytes: 300 },
  ]);
  const first = (await api.get(`${PLATFORM}/tenants/${tenant.id}/files?limit=1`)).body;
  const second = (await api.get(`${PLATFORM}/tenants/${tenant.id}/files?limit=1&cursor=${first.nextCursor}`)).body;
  expect([first.items[0].key, second.items[0].key, second.nextCursor]).toEqual(['a', 'reports/2026/may.txt', null]);
  const foreign = await api.get(`${PLATFORM}/tenants/${tenant.id}/files?cursor=${Buffer.from('../x').toString('base64url')}`);
  expect([foreign.status, foreign.body.errors[0].field]).toEqual([422, 'cursor']);
  expect((await as.get(own('/a'))).body).toEqual({ key: 'a', bytes: 200, content: base64(200) });
  expect((await as.put(own('/a'), { content: base64(100) })).status).toBe(200);
  expect((await used()).current_usage).toBe(400);
  expect((await as.delete(own('/a'))).status).toBe(204);
  expect((await as.delete(own('/a'))).status).toBe(204);
  expect((await as.get(own('/a'))).status).toBe(404);
  expect((await used()).current_usage).toBe(300);
});

it('are refused beyond the quota, however many come at once', async () => {
  const as = api.as(tenant.key);
  const answers = await Promise.all(Array.from({ length: 10 }, (_, n) => as.put(own(`/many-${n}`), { content: base64(200) })));
  const statuses = answers.map(({ status }) => status);
  expect(statuses.filter((status) => status === 200)).toHaveLength(3);
  expect(statuses.filter((status) => status === 429)).toHaveLength(7);
  expect(answers.find(({ status }) => status === 429)?.body.code).toBe('quota.exceeded');
  expect((await used()).current_usage).toBe(900);
  const sizes = (await as.get(own())).body.map(({ bytes }: any) => bytes);
  expect(sizes.reduce((sum: number, bytes: number) => sum + bytes, 0)).toBe(900);
});

it('have names that lead nowhere else', async () => {
  const as = api.as(tenant.key);
  for (const name of ['..%2Fx', 'a%2F..%2F..%2Fx', '%2Fetc%2Fpasswd', 'a%5C..%5Cx', 'a%2F%2Fb', '%2E%2E%2Fx'])
    for (const answer of [
      await as.put(own(`/${name}`), { content: '' }),
      await as.get(own(`/${name}`)),
      await as.delete(own(`/${name}`)),
    ]) {
      expect([400, 404, 422], `${name} ${answer.status}`).toContain(answer.status);
    }
  expect((await as.put(own('/b'), { content: 'no base64!' })).status).toBe(422);
  expect((await as.put(own('/b'), {})).status).toBe(422);
});
