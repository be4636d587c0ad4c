import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { newId, PLATFORM_LOG } from '@tenantry/contracts/ids';
import type { Principal } from '@tenantry/contracts/route';
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
import { ListPlatformKeysRpc } from './list-platform-keys.rpc.js';
import { ListTenantKeysRpc } from './list-tenant-keys.rpc.js';
import { People } from './people.js';
import { RevokePlatformKeyRpc } from './revoke-platform-key.rpc.js';
import { RevokeTenantKeyRpc } from './revoke-tenant-key.rpc.js';

let database: Awaited<ReturnType<typeof identityDatabase>>;
beforeAll(async () => {
  database = await identityDatabase();
}, 120_000);
afterAll(() => database.stop());

const { log, keyring, clock, environment, events } = platform();
const table = () => new ApiKeyTable(database.pool, keyring);
const people = () => new People(log, table(), keyring);
const principalOf = async (key: string) => (await new AuthenticateRpc(table(), people()).handle({ keyHash: hashApiKey(key) })).principal;
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
  new CreateTenantKeyRpc(log, table(), clock, environment(), people()).handle({
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
    expect(await principalOf(body.key)).toEqual({ kind: 'api-key', id: body.id, person: 'staff-1', tenantId, permissions: ['*'] });
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
  const createPlatform = (by: string[], permissions?: string[], more: { owner?: string; expiresAt?: string } = {}, maker = request(by)) =>
    new CreatePlatformKeyRpc(log, table(), clock, environment(), people()).handle({
      tenantId: '',
      params: {},
      query: {},
      body: { name: 'ops', permissions, ...more },
      command: maker,
    });
  const platformKeys = async () =>
    (await new ListPlatformKeysRpc(table(), people()).handle({ tenantId: '', params: {}, query: {}, body: {}, command: request() })).body
      .items;
  const revokePlatform = (keyId: string) =>
    new RevokePlatformKeyRpc(log, table(), clock).handle({ tenantId: '', params: { keyId }, query: {}, body: {}, command: request() });
  /** A request with the key. */
  const by = async (key: string) => ({ ...request(), principal: (await principalOf(key)) as Principal });
  const firstKey = async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'key');
    const { key } = createApiKey('test');
    await writeFile(path, key);
    await new BootstrapKey(log, table(), clock, environment({ TENANTRY_BOOTSTRAP_KEY_FILE: path })).onApplicationBootstrap();
    return key;
  };
  beforeEach(() => database.pool.query('DELETE FROM identity.api_keys WHERE tenant_id IS NULL'));

  it('are staff', async () => {
    const { body } = await createPlatform(['*'], ['tenant:read']);
    expect(await principalOf(body.key)).toEqual({ kind: 'staff', id: body.id, person: 'staff-1', permissions: ['tenant:read'] });
    expect((await events(PLATFORM_LOG)).at(-1)).toMatchObject({ type: 'PlatformKeyCreated', stream: `platform-key-${body.id}` });
  });

  it('for everything are made by those who may do everything', async () => {
    await expect(createPlatform(['platform-key:create'])).rejects.toMatchObject({ code: 'auth.forbidden' });
  });

  it('are listed and revoked, once', async () => {
    const { body } = await createPlatform(['*'], ['tenant:read']);
    const { key: _, ...listed } = body;
    expect(await platformKeys()).toEqual([listed]);
    const first = await revokePlatform(body.id);
    expect(await principalOf(body.key)).toBeNull();
    clock.advance(1_000);
    expect((await revokePlatform(body.id)).body).toEqual(first.body);
    expect((await events(PLATFORM_LOG)).filter(({ type }) => type === 'PlatformKeyRevoked')).toHaveLength(1);
    await expect(revokePlatform(newId())).rejects.toMatchObject({ code: 'api_key.not_found' });
  });

  it('for everything are never all gone, also where two revoke each other at once', async () => {
    const [one, other] = [(await createPlatform(['*'])).body, (await createPlatform(['*'])).body];
    await createPlatform(['*'], ['tenant:*']);
    await createPlatform(['*'], ['*'], { expiresAt: new Date(Date.now() + 60_000).toISOString() });
    const outcomes = await Promise.allSettled([revokePlatform(one.id), revokePlatform(other.id)]);
    expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(outcomes.find(({ status }) => status === 'rejected')).toMatchObject({ reason: { code: 'api_key.last' } });
    expect((await platformKeys()).filter(({ revokedAt }) => revokedAt !== null)).toHaveLength(1);
  });

  it('expire, and never begin expired', async () => {
    const { body } = await createPlatform(['*'], ['tenant:read'], { expiresAt: new Date(Date.now() + 60_000).toISOString() });
    expect(await principalOf(body.key)).not.toBeNull();
    await database.pool.query("UPDATE identity.api_keys SET expires_at = now() - interval '1 s' WHERE key_id = $1", [body.id]);
    expect(await principalOf(body.key)).toBeNull();
    expect((await platformKeys()).map(({ id }) => id)).toEqual([body.id]);
    const far = await createPlatform(['*'], ['tenant:read'], { expiresAt: '2131-01-01T00:00:00+23:59' });
    expect(far.body.expiresAt).toBe('2130-12-31T00:01:00.000Z');
    await expect(createPlatform(['*'], ['*'], { expiresAt: clock.now() })).rejects.toMatchObject({ code: 'request.invalid' });
  });

  it('end with the key that made them, at the latest, whosever they are', async () => {
    const [sooner, end, later] = [30_000, 60_000, 90_000].map((ms) => new Date(Date.now() + ms).toISOString());
    const ending = (await createPlatform(['*'], ['*'], { expiresAt: end })).body;
    const made = (expiresAt?: string, maker = ending) => by(maker.key).then((as) => createPlatform([], ['*'], { expiresAt }, as));
    const ofTenant = async (expiresAt?: string, maker: { key: string } = ending) =>
      new CreateTenantKeyRpc(log, table(), clock, environment(), people()).handle({
        ...{ tenantId, params: { tenantId }, query: {}, body: { name: 'ci', expiresAt } },
        command: await by(maker.key),
      });
    const refused = {
      code: 'request.invalid',
      errors: [{ field: 'expiresAt', rule: 'makers_end', message: expect.stringContaining(end!) }],
    };
    for (const make of [made, ofTenant]) {
      expect((await make()).body.expiresAt).toBe(end);
      expect((await make(sooner)).body.expiresAt).toBe(sooner);
      await expect(make(later)).rejects.toMatchObject(refused);
    }
    const next = (await made()).body;
    expect((await made(undefined, next)).body.expiresAt).toBe(end);
    expect((await ofTenant(undefined, (await ofTenant()).body)).body.expiresAt).toBe(end);
    const lasting = (await createPlatform(['*'], ['*'])).body;
    expect((await made(later, lasting)).body.expiresAt).toBe(later);
    expect((await made(undefined, lasting)).body.expiresAt).toBeNull();
  });

  it('made with the first key are others’, everything made with theirs is theirs', async () => {
    const first = await firstKey();
    const ada = (await createPlatform([], undefined, {}, await by(first))).body;
    const bob = (await createPlatform([], undefined, {}, await by(first))).body;
    const adas = (await createPlatform([], undefined, {}, await by(ada.key))).body;
    const alsoAdas = (await createPlatform([], undefined, {}, await by(adas.key))).body;
    expect(new Set([(await by(first)).principal.person, ada.person, bob.person]).size).toBe(3);
    expect([adas.person, alsoAdas.person]).toEqual([ada.person, ada.person]);
    const of = { tenantId, params: { tenantId }, query: {}, body: { name: 'ci' } };
    const tenants = (
      await new CreateTenantKeyRpc(log, table(), clock, environment(), people()).handle({ ...of, command: await by(adas.key) })
    ).body;
    expect((await by(tenants.key)).principal.person).toBe(ada.person);
  });

  it('are of one person where the first key says so, however it is written, and of nobody else’s choosing', async () => {
    const first = await firstKey();
    const owner = 'Ada@Example.com';
    const [one, other] = [
      (await createPlatform([], undefined, { owner }, await by(first))).body,
      (await createPlatform([], undefined, { owner: ' ada@example.com' }, await by(first))).body,
    ];
    expect([one.owner, one.person === other.person]).toEqual([owner, true]);
    expect(one.person).toMatch(/^owner-[0-9a-f]{32}$/);
    const stored = await database.pool.query('SELECT * FROM identity.api_keys');
    expect(JSON.stringify([stored.rows, await events(PLATFORM_LOG)])).not.toMatch(/ada@example/i);
    await expect(createPlatform([], undefined, { owner: 'bob' }, await by(one.key))).rejects.toMatchObject({
      code: 'auth.forbidden',
      errors: [{ field: 'owner', rule: 'first_key' }],
    });
    const unseen = await new ListPlatformKeysRpc(table(), people()).handle({
      ...{ tenantId: '', params: {}, query: {}, body: {} },
      command: request(['platform-key:read']),
    });
    expect(unseen.body.items.map((item) => item.owner)).toEqual([null, null, null]);
  });

  it('from before there were people are found in the log', async () => {
    const first = await firstKey();
    const ada = (await createPlatform([], undefined, {}, await by(first))).body;
    const adas = (await createPlatform([], undefined, {}, await by(ada.key))).body;
    const forget = () => database.pool.query('UPDATE identity.api_keys SET person = NULL');
    await forget();
    expect((await platformKeys()).find(({ id }) => id === adas.id)?.person).toBe(ada.id);
    await forget();
    expect((await by(adas.key)).principal.person).toBe(ada.id);
    const { rows } = await database.pool.query('SELECT person FROM identity.api_keys WHERE key_id = $1', [adas.id]);
    expect(rows).toEqual([{ person: ada.id }]);
  });

  it('the first one comes from a file, and stays revoked once it was', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'key');
    const { key } = createApiKey('test');
    await writeFile(path, `${key}\n`);
    const start = () => new BootstrapKey(log, table(), clock, environment({ TENANTRY_BOOTSTRAP_KEY_FILE: path })).onApplicationBootstrap();
    await Promise.all([start(), start()]);
    expect(await principalOf(key)).toMatchObject({ kind: 'staff', permissions: ['*'] });
    const { id: keyId } = (await principalOf(key)) as Principal;
    await database.pool.query('UPDATE identity.api_keys SET revoked_at = now() WHERE name = \'"bootstrap"\'');
    await start();
    expect(await principalOf(key)).toBeNull();
    expect((await events(PLATFORM_LOG)).filter(({ data }) => (data as { keyId?: string }).keyId === keyId)).toHaveLength(1);
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
