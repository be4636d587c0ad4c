import { createHash, randomBytes } from 'node:crypto';
import { type IncomingMessage, request } from 'node:http';
import { eventually } from '@tenantry/testing/eventually';
import pg from 'pg';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Api } from '../harness/api.js';
import { type RunFile, sharedSystem } from '../harness/system.js';
import { activeTenant, PLATFORM, unique } from '../harness/tenants.js';

let api: Api;
let run: RunFile;
let tenant: { id: string; key: string };
const LIMIT = 1_000;

beforeAll(async () => {
  ({ api, run } = await sharedSystem());
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

describe('of any size, as they are', () => {
  const MB = 1_000_000;
  const ROOM = 100 * MB;
  let big: { id: string; key: string };
  beforeAll(async () => {
    const { tenant: made } = await activeTenant(api, { name: unique('Big files'), limits: { storage: '100 MB' } });
    big = { id: made.id, key: (await api.post(`${PLATFORM}/tenants/${made.id}/api-keys`, { name: 'x' })).body.key };
  }, 60_000);
  const at = (key: string) => `/api/tenants/${big.id}/files/${key}/content`;
  const inUse = async () =>
    (await api.as(big.key).get(`/api/tenants/${big.id}/quotas`)).body.find(({ resource_type }: any) => resource_type === 'storage')
      .current_usage;
  const stored = async () => {
    const { body } = await api.as(big.key).get(`/api/tenants/${big.id}/files`);
    return body.reduce((sum: number, { bytes }: any) => sum + bytes, 0);
  };
  const as = () => ({ authorization: `Bearer ${big.key}` });
  const put = (key: string, content: Buffer, headers: Record<string, string> = {}) =>
    api.raw('PUT', at(key), { headers: { ...as(), 'content-type': 'application/octet-stream', ...headers }, body: content });
  const get = async (key: string, headers: Record<string, string> = {}) => {
    const response = await fetch(run.gatewayUrl + at(key), { headers: { ...as(), ...headers } });
    return { status: response.status, headers: response.headers, content: Buffer.from(await response.arrayBuffer()) };
  };
  /** A client that sends when the test says so, without a length. */
  function sending(key: string) {
    const client = request(run.gatewayUrl + at(key), { method: 'PUT', headers: { ...as(), 'transfer-encoding': 'chunked' } });
    client.flushHeaders();
    const answer = new Promise<{ status: number; code?: string }>((resolve, reject) => {
      client.once('error', reject);
      client.once('response', (response: IncomingMessage) => {
        let text = '';
        response.setEncoding('utf8').on('data', (more: string) => {
          text += more;
        });
        response.once('end', () => resolve({ status: response.statusCode ?? 0, code: JSON.parse(text).code }));
      });
    });
    answer.catch(() => undefined);
    return { client, answer, write: (bytes: number) => client.write(Buffer.alloc(bytes, 'z')) };
  }
  const memory = async () => {
    const used = run.processes
      .filter(({ name }) => name === 'gateway' || name === 'provisioning')
      .map(async ({ healthUrl }) => {
        const text = await (await fetch(healthUrl.replace('/readyz', '/metrics'))).text();
        return Number(/^process_resident_memory_bytes\S* (\S+)/m.exec(text)?.[1]);
      });
    return Math.max(...(await Promise.all(used)));
  };

  it('go up and down unchanged, and no process has all of one in its memory', async () => {
    const content = randomBytes(30 * MB);
    const sha256 = createHash('sha256').update(content).digest();
    const digest = { 'content-digest': `sha-256=:${sha256.toString('base64')}:` };
    await put('x.bin', content.subarray(0, 5 * MB));
    await get('x.bin');
    const before = await memory();
    const written = await put('x.bin', content, digest);
    expect([written.status, written.body]).toEqual([200, { key: 'x.bin', bytes: 30 * MB, sha256: sha256.toString('hex') }]);
    const { headers, ...read } = await get('x.bin');
    expect([read.status, read.content.equals(content)]).toEqual([200, true]);
    expect(Object.fromEntries(headers)).toMatchObject({
      'content-type': 'application/octet-stream',
      'content-length': String(30 * MB),
      'content-disposition': expect.stringContaining('attachment'),
      'x-content-type-options': 'nosniff',
      'accept-ranges': 'bytes',
      etag: expect.stringMatching(/^"/),
    });
    // Base64 and JSON of each part make some garbage: well below base64 of all of it.
    expect((await memory()) - before).toBeLessThan(40 * MB);
    expect(await inUse()).toBe(30 * MB);
  });

  it('are read in ranges, and only where they changed', async () => {
    const content = randomBytes(2 * MB);
    await put('ranges.csv', content);
    const whole = await api.raw('HEAD', at('ranges.csv'), { headers: as() });
    const etag = whole.headers.get('etag') as string;
    expect([whole.status, whole.headers.get('content-length'), whole.headers.get('content-type')]).toEqual([
      200,
      String(2 * MB),
      'text/csv',
    ]);
    const middle = await get('ranges.csv', { range: 'bytes=600000-1599999', 'if-range': etag });
    expect([middle.status, middle.headers.get('content-range')]).toEqual([206, `bytes 600000-1599999/${2 * MB}`]);
    expect(middle.content.equals(content.subarray(600_000, 1_600_000))).toBe(true);
    expect((await get('ranges.csv', { range: 'bytes=-5' })).content.equals(content.subarray(-5))).toBe(true);
    const beyond = await get('ranges.csv', { range: `bytes=${2 * MB}-` });
    expect([beyond.status, beyond.headers.get('content-range')]).toEqual([416, `bytes */${2 * MB}`]);
    expect((await get('ranges.csv', { 'if-none-match': etag })).status).toBe(304);
    await put('ranges.csv', content.subarray(1));
    expect((await get('ranges.csv', { 'if-match': etag })).status).toBe(412);
    expect((await get('ranges.csv', { range: 'bytes=0-1', 'if-range': etag })).status).toBe(200);
    expect((await get('none')).status).toBe(404);
    await api.as(big.key).delete(`/api/tenants/${big.id}/files/ranges.csv`);
  });

  it('stay as they were where something is wrong with what comes', async () => {
    await put('same', Buffer.from('old'));
    const held = await inUse();
    const content = Buffer.alloc(MB);
    const wrong = { 'content-digest': `sha-256=:${createHash('sha256').update('x').digest('base64')}:` };
    expect(await put('same', content, wrong)).toMatchObject({ status: 422, body: { code: 'request.invalid' } });
    expect(await put('same', content, { 'content-type': 'application/json' })).toMatchObject({ status: 415 });
    // Too big for what is left, said before or noticed on the way.
    const room = ROOM - held;
    expect(await put('same', Buffer.alloc(room + MB))).toMatchObject({ status: 429, body: { code: 'quota.exceeded' } });
    const growing = sending('same');
    let answered = false;
    void growing.answer.finally(() => {
      answered = true;
    });
    for (let sent = 0; sent < room + 10 * MB && !answered; sent += MB)
      if (!growing.write(MB)) await Promise.race([new Promise((resolve) => growing.client.once('drain', resolve)), growing.answer]);
    expect(await growing.answer).toEqual({ status: 429, code: 'quota.exceeded' });
    growing.client.destroy();
    // Who goes away in the middle leaves nothing behind.
    const gone = sending('same');
    gone.write(3 * MB);
    await eventually(async () => (await inUse()) > held);
    gone.client.destroy();
    await eventually(async () => (await inUse()) === held);
    expect((await get('same')).content.toString()).toBe('old');
    expect(await stored()).toBe(held);
  });

  it('are there whole or not at all where the process that writes them is killed', async () => {
    await put('killed', Buffer.from('old'));
    const held = await inUse();
    const broken = sending('killed');
    broken.write(3 * MB);
    await eventually(async () => (await inUse()) > held);
    process.kill(run.processes.find(({ name }) => name === 'provisioning')!.pid, 'SIGKILL');
    broken.client.destroy();
    const admin = new pg.Client({ connectionString: run.postgresUrl });
    await admin.connect();
    try {
      // As if it had been silent for a while.
      await admin.query("UPDATE provisioning.file_writes SET renewed_at = now() - interval '1 hour' WHERE tenant_id = $1", [big.id]);
      await eventually(async () => (await inUse()) === held, { timeoutMs: 40_000, what: 'what was held to be given back' });
    } finally {
      await admin.end();
    }
    expect((await get('killed')).content.toString()).toBe('old');
    expect(await stored()).toBe(held);
    await eventually(async () => (await put('killed', Buffer.from('new'))).status === 200);
    expect((await get('killed')).content.toString()).toBe('new');
  });

  it('end on their way when the tenant is suspended', async () => {
    const held = await inUse();
    const slow = sending('suspended');
    slow.write(MB);
    await eventually(async () => (await inUse()) > held);
    expect((await api.post(`${PLATFORM}/tenants/${big.id}/suspend`, { reason: 'test' })).status).toBe(200);
    expect(await slow.answer).toEqual({ status: 403, code: 'tenant.suspended' });
    slow.client.destroy();
    expect((await api.post(`${PLATFORM}/tenants/${big.id}/reactivate`)).status).toBe(200);
    await eventually(async () => (await inUse()) === held);
    expect((await get('suspended')).status).toBe(404);
  });
});
