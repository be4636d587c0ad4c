import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { newId, PLATFORM_LOG } from '@tenantry/contracts/ids';
import { createApiKey, hashApiKey } from '@tenantry/crypto/api-key';
import { temporaryFolder } from '@tenantry/testing/tmp';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { initialize, security } from '../security/security.js';
import { identityDatabase } from '../testing/database.js';
import { platform, request } from '../testing/platform.js';
import { ApiKeyTable } from './api-key-table.js';
import { AuthenticateRpc } from './authenticate.rpc.js';
import { BootstrapKey } from './bootstrap-key.js';
import { CreatePlatformKeyRpc } from './create-platform-key.rpc.js';
import { CreateTenantKeyRpc } from './create-tenant-key.rpc.js';
import { IssueProbeKeyRpc } from './issue-probe-key.rpc.js';
import { ListTenantKeysRpc } from './list-tenant-keys.rpc.js';
import { RevokeTenantKeyRpc } from './revoke-tenant-key.rpc.js';

let database: Awaited<ReturnType<typeof identityDatabase>>;
beforeAll(async () => {
  database = await identityDatabase();
}, 120_000);
afterAll(() => database.stop());

const { log, keyring, clock, environment, events } = platform();
const table = () => new ApiKeyTable(database.pool, keyring);
const principalOf = async (key: string) => (await new AuthenticateRpc(table()).handle({ keyHash: hashApiKey(key) })).principal;
const listed = async (tenantId: string) =>
  (await new ListTenantKeysRpc(log, table()).handle({ tenantId, params: { tenantId }, query: {}, body: {}, command: request() })).body
    .items;

let tenantId: string;
beforeEach(async () => {
  tenantId = newId();
  const command = { id: newId(), actor: { kind: 'service' as const, id: 'test' } };
  await log.transact(security, { tenant: tenantId, command }, initialize({ securityLevel: 'basic', keyVersion: 1 }));
});
const create = (options: { permissions?: string[]; by?: string[]; id?: string; of?: string } = {}) =>
  new CreateTenantKeyRpc(log, table(), clock, environment()).handle({
    tenantId: options.of ?? tenantId,
    params: { tenantId: options.of ?? tenantId },
    query: {},
    body: { name: 'ci', permissions: options.permissions },
    command: request(options.by, options.id),
  });
const revoke = (keyId: string, of = tenantId) =>
  new RevokeTenantKeyRpc(log, table(), clock).handle({
    tenantId: of,
    params: { tenantId: of, keyId },
    query: {},
    body: {},
    command: request(),
  });

describe("creating a tenant's key", () => {
  it('shows a key that works, once, and keeps only its hash', async () => {
    const { status, body, secret } = await create();
    expect({ status, secret }).toEqual({ status: 201, secret: true });
    expect(body.key).toMatch(/^tnt_test_[0-9A-Za-z]{34}$/);
    expect(await principalOf(body.key)).toEqual({ kind: 'api-key', id: body.id, tenantId, permissions: ['*'] });
    expect(await listed(tenantId)).toEqual([{ ...body, key: undefined }]);
    expect(JSON.stringify(await events(tenantId))).not.toMatch(new RegExp(`${body.key}|${hashApiKey(body.key)}`));
  });

  it('keeps what it is called encrypted, in the event and in the row', async () => {
    const { body } = await create();
    expect(body.name).toBe('ci');
    const created = (await events(tenantId)).find(({ type }) => type === 'ApiKeyCreated');
    expect(created?.data).toMatchObject({ name: { enc: expect.stringContaining(`/api-key-${body.id}/`) } });
    const { rows } = await database.pool.query('SELECT name FROM identity.api_keys WHERE key_id = $1', [body.id]);
    expect([created?.data]).toMatchObject(rows);
  });

  it('grants what the caller has when nothing is named, and never more', async () => {
    expect((await create({ by: ['tenant:read', 'api-key:create'] })).body.permissions).toEqual(['tenant:read', 'api-key:create']);
    await expect(create({ by: ['api-key:create'], permissions: ['tenant:read'] })).rejects.toMatchObject({ code: 'auth.forbidden' });
  });

  it('does not show the secret to a replay', async () => {
    const id = newId();
    await create({ id });
    await expect(create({ id })).rejects.toMatchObject({ code: 'idempotency.secret_already_shown' });
    expect(await listed(tenantId)).toHaveLength(1);
  });

  it('shows one key where the same request comes many times at once', async () => {
    const id = newId();
    const outcomes = await Promise.allSettled(Array.from({ length: 8 }, () => create({ id })));
    const shown = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value.body] : []));
    expect(shown).toHaveLength(1);
    expect(await principalOf(shown[0]?.key as string)).toMatchObject({ id: shown[0]?.id });
    expect((await events(tenantId)).filter(({ type }) => type === 'ApiKeyCreated')).toHaveLength(1);
  });

  it('is finished by the retry when the process died after the event', async () => {
    const id = newId();
    const { body } = await create({ id });
    await database.pool.query('DELETE FROM identity.api_keys WHERE key_id = $1', [body.id]);
    const retried = await create({ id });
    expect(retried.body.id).toBe(body.id);
    expect(await principalOf(retried.body.key)).toMatchObject({ id: body.id });
    expect((await events(tenantId)).filter(({ type }) => type === 'ApiKeyCreated')).toHaveLength(1);
  });

  it('needs a tenant that exists', async () => {
    for (const of of [newId(), PLATFORM_LOG]) await expect(create({ of })).rejects.toMatchObject({ code: 'tenant.not_found' });
  });
});

describe("revoking a tenant's key", () => {
  it('ends it at once, and again changes nothing', async () => {
    const { body } = await create();
    const first = await revoke(body.id);
    expect(first.body.revokedAt).toBe(clock.now());
    expect(await principalOf(body.key)).toBeNull();
    clock.advance(1_000);
    expect((await revoke(body.id)).body).toEqual(first.body);
    expect((await events(tenantId)).filter(({ type }) => type === 'ApiKeyRevoked')).toHaveLength(1);
  });

  it("does not reach another tenant's key", async () => {
    const { body } = await create();
    await expect(revoke(body.id, newId())).rejects.toMatchObject({ code: 'api_key.not_found' });
    expect(await principalOf(body.key)).not.toBeNull();
  });
});

describe('platform keys', () => {
  const createPlatform = (by: string[], permissions?: string[]) =>
    new CreatePlatformKeyRpc(log, table(), clock, environment()).handle({
      tenantId: '',
      params: {},
      query: {},
      body: { name: 'ops', permissions },
      command: request(by),
    });

  it('are staff', async () => {
    const { body } = await createPlatform(['*'], ['tenant:read']);
    expect(await principalOf(body.key)).toEqual({ kind: 'staff', id: body.id, permissions: ['tenant:read'] });
    expect((await events(PLATFORM_LOG)).at(-1)).toMatchObject({ type: 'PlatformKeyCreated', stream: `platform-key-${body.id}` });
  });

  it('for everything are made by those who may do everything', async () => {
    await expect(createPlatform(['platform-key:create'])).rejects.toMatchObject({ code: 'auth.forbidden' });
  });

  it('the first one comes from a file, and stays revoked once it was', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'key');
    const { key } = createApiKey('test');
    await writeFile(path, `${key}\n`);
    const start = () => new BootstrapKey(log, table(), clock, environment({ TENANTRY_BOOTSTRAP_KEY_FILE: path })).onApplicationBootstrap();
    await Promise.all([start(), start()]);
    expect(await principalOf(key)).toMatchObject({ kind: 'staff', permissions: ['*'] });
    await database.pool.query('UPDATE identity.api_keys SET revoked_at = now() WHERE name = \'"bootstrap"\'');
    await start();
    expect(await principalOf(key)).toBeNull();
    expect((await events(PLATFORM_LOG)).filter(({ data }) => (data as { name?: string }).name === 'bootstrap')).toHaveLength(1);
  });
});

describe('a probe', () => {
  it('reads as the tenant, is not listed, and ends by itself', async () => {
    const probe = new IssueProbeKeyRpc(table(), environment());
    const { key } = await probe.handle({ tenantId });
    const principal = await principalOf(key);
    expect(principal).toMatchObject({ kind: 'api-key', tenantId });
    expect(principal?.permissions).toContain('quota:read');
    expect(principal?.permissions.filter((permission) => !permission.endsWith(':read'))).toEqual([]);
    expect(await listed(tenantId)).toEqual([]);

    await database.pool.query("UPDATE identity.api_keys SET expires_at = now() - interval '1 s' WHERE expires_at IS NOT NULL");
    expect(await principalOf(key)).toBeNull();
    await probe.handle({ tenantId });
    const { rows } = await database.pool.query('SELECT 1 FROM identity.api_keys WHERE tenant_id = $1', [tenantId]);
    expect(rows).toHaveLength(1);
  });
});
