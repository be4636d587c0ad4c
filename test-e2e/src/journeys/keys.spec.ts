import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { eventually } from '@tenantry/testing/eventually';
import pg from 'pg';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Api } from '../harness/api.js';
import { sharedSystem } from '../harness/system.js';
import { activeTenant, eventsOf, PLATFORM, unique } from '../harness/tenants.js';

let api: Api;
let tenantId: string;
beforeAll(async () => {
  ({ api } = await sharedSystem());
  tenantId = (await activeTenant(api, { name: unique('Keys'), adminEmail: 'ada@keys.example' })).tenant.id;
});
const url = (rest = '') => `${PLATFORM}/tenants/${tenantId}${rest}`;
/** Of the key that has encrypted the tenant's newest address for bills. */
async function usedVersion(): Promise<number> {
  const changed = (await eventsOf(api, tenantId)).findLast(({ type, data }) => type === 'TenantUpdated' && data.billingEmail);
  return Number(changed.data.billingEmail.enc.split(':')[0].split('/')[2]);
}
const bill = async (to: string) => expect((await api.put(url(), { billingEmail: to })).status).toBe(200);

describe("a tenant's key", () => {
  it('is rotated: every service encrypts with the newer one within moments, and all reads go on', async () => {
    await bill('one@keys.example');
    expect(await usedVersion()).toBe(1);
    const headers = { 'idempotency-key': unique('rotate') };
    const rotated = await api.post(url('/keys/rotate'), {}, headers);
    expect(rotated.status, rotated.text).toBe(200);
    expect(rotated.body).toMatchObject({ tenantId, keyVersion: 2 });
    expect((await api.post(url('/keys/rotate'), {}, headers)).body).toEqual(rotated.body);
    expect((await api.get(url('/keys'))).body.items.map(({ keyVersion }: any) => keyVersion)).toEqual([2, 1]);
    let n = 0;
    await eventually(
      async () => {
        await bill(`other-${n++}@keys.example`);
        return (await usedVersion()) === 2;
      },
      { timeoutMs: 10_000, intervalMs: 100, what: 'the newer key to be used' },
    );
    expect((await api.get(url())).body).toMatchObject({ adminEmail: 'ada@keys.example', billingEmail: `other-${n - 1}@keys.example` });
    const events = await eventsOf(api, tenantId);
    expect(events.filter(({ type }) => type === 'TenantKeyRotated').map(({ data }) => [data.keyVersion, data.cause])).toEqual([
      [2, 'requested'],
    ]);
    const { body, text } = await api.post(url('/events/decrypt'), { positions: events.slice(-50).map(({ position }) => position) });
    expect(text).not.toContain('"enc"');
    expect(body.items.findLast(({ type, data }: any) => type === 'TenantUpdated' && data.billingEmail).data.before).toBeDefined();
    // Who was invited before is still found by his address, and shown with it.
    const members = (await api.get(url('/members'))).body.items;
    expect(members.map(({ email }: any) => email)).toContain('ada@keys.example');
  });

  it('is rotated by nobody but the platform, and not where there is none', async () => {
    const { key } = (await api.post(url('/api-keys'), { name: 'k' })).body;
    expect((await api.as(key).post(url('/keys/rotate'), {})).status).toBe(403);
    const nowhere = `${PLATFORM}/tenants/00000000-0000-4000-8000-00000000abcd/keys`;
    expect((await api.post(`${nowhere}/rotate`, {})).status).toBe(404);
    expect((await api.get(nowhere)).status).toBe(404);
  });
});

it('a new signing key signs, and the one before stays published', async () => {
  const published = async () => (await api.raw('GET', '/.well-known/jwks.json')).body.keys.map(({ kid }: any) => kid);
  const before = await published();
  const rotated = await api.post(`${PLATFORM}/signing-keys/rotate`, {});
  expect(rotated.status, rotated.text).toBe(200);
  expect(await published()).toEqual([rotated.body.keyId, ...before]);
  const copied = async () =>
    (await readFile(join(process.env['TENANTRY_E2E_DATA_DIR'] as string, 'jwks.json'), 'utf8')).includes(rotated.body.keyId);
  await eventually(copied, { timeoutMs: 30_000, intervalMs: 200, what: 'the copy for verifying offline to have it' });
});

const over = (url: string) =>
  eventually(
    async () => {
      const { body } = await api.get(url);
      return body.finishedAt !== null && body;
    },
    { timeoutMs: 30_000, intervalMs: 100, what: 'the operation to end' },
  );

it('a key that cannot be opened is named, stops none of the others, and is wrapped anew when it was put back', async () => {
  const { run } = await sharedSystem();
  const admin = new pg.Client({ connectionString: run.postgresUrl.replace(/\/[^/]*$/, '/tenantry') });
  await admin.connect();
  const put = (wrapped: Buffer) =>
    admin.query('UPDATE identity.tenant_keys SET wrapped = $2, master_key = $3 WHERE tenant_id = $1 AND version = 1', [
      tenantId,
      wrapped,
      wrapped.length < 10 ? '0123456789abcdef' : null,
    ]);
  const { rows } = await admin.query('SELECT wrapped FROM identity.tenant_keys WHERE tenant_id = $1 AND version = 1', [tenantId]);
  try {
    await put(Buffer.from('spoilt'));
    const started = await api.post(`${PLATFORM}/master-key/rewrap`, {});
    const { url } = started.body.operation;
    expect(await over(url)).toMatchObject({ status: 'failed', counts: { total: 17, succeeded: 16, failed: 1 } });
    const [item] = (await api.get(`${url}/items?status=failed`)).body.items;
    expect(item).toMatchObject({
      target: `tenants whose id ends in ${tenantId.at(-1)}`,
      ...{ code: 'keys.not_opened', error: expect.stringContaining(`tenant ${tenantId} version 1.`) },
    });
    const named = { tenantId, keyVersion: 1, signingKeyId: null, masterKey: '0123456789abcdef' };
    const { body } = await api.get(`${PLATFORM}/master-key`);
    expect(body).toMatchObject({ removable: [], unopened: { keys: 1, items: [named] } });
    expect(body.wrapped).toContainEqual({ masterKey: '0123456789abcdef', keys: 1 });
    await put(rows[0].wrapped);
    expect((await api.post(`${url}/retry`, {})).status).toBe(202);
    await eventually(async () => (await api.get(url)).body.status === 'succeeded', { timeoutMs: 30_000, what: 'the retry to succeed' });
  } finally {
    await put(rows[0].wrapped);
    await admin.end();
  }
});

it('everything is wrapped anew as an operation, and what wraps is shown', async () => {
  const started = await api.post(`${PLATFORM}/master-key/rewrap`, {});
  expect(started.status, started.text).toBe(202);
  const operation = await over(started.body.operation.url);
  expect(operation).toMatchObject({ type: 'rewrap-keys', status: 'succeeded', counts: { total: 17, succeeded: 17 } });
  const { body } = await api.get(`${PLATFORM}/master-key`);
  expect(body).toMatchObject({ current: started.body.masterKey, known: [started.body.masterKey], removable: [] });
  expect(body.unopened).toEqual({ keys: 0, items: [] });
  expect(body.wrapped).toEqual([{ masterKey: body.current, keys: expect.any(Number) }]);
});
