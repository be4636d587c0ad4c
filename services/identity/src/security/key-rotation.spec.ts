import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { newId, PLATFORM_LOG } from '@tenantry/contracts/ids';
import { LocalKms } from '@tenantry/crypto/kms';
import { silentLogger } from '@tenantry/observability/logger';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { DatabaseKeyring } from '../keys/database-keyring.js';
import { KeyStore } from '../keys/key-store.js';
import { identityDatabase } from '../testing/database.js';
import { platform, request } from '../testing/platform.js';
import { KeyRotation } from './key-rotation.js';
import { RotateByAge } from './rotate-by-age.job.js';
import { initialize, security } from './security.js';
import { TenantKeyRpc } from './tenant-key.rpc.js';

let database: Awaited<ReturnType<typeof identityDatabase>>;
let folder: string;
let keys: KeyStore;
beforeAll(async () => {
  database = await identityDatabase();
  folder = await mkdtemp(join(tmpdir(), 'tenantry-kms-'));
  keys = new KeyStore(database.pool, await LocalKms.fromFileOrNew(join(folder, 'kms.key')));
}, 120_000);
afterAll(async () => {
  await database.stop();
  await rm(folder, { recursive: true });
});

/** A replica of identity with some tenants' logs. */
async function given(...tenants: string[]) {
  const of = platform(new DatabaseKeyring(keys));
  const rotation = new KeyRotation(of.log, keys, of.keyring, of.clock);
  for (const tenant of tenants)
    await of.log.transact(security, { tenant, command: request() }, initialize({ securityLevel: 'basic', keyVersion: 1 }));
  const rotated = async (tenantId: string) =>
    (await of.events(tenantId)).flatMap(({ type, data }) => (type === 'TenantKeyRotated' ? [data] : []));
  return { ...of, rotation, rotated, rpc: new TenantKeyRpc(of.log, keys, rotation) };
}
const call = (tenantId: string, command = request()) => ({ tenantId, command, params: { tenantId }, query: {}, body: {} }) as never;

it('rotates once per request, encrypts with the newer key at once, and writes it down', async () => {
  const tenantId = newId();
  const { rpc, rotated, keyring, clock } = await given(tenantId);
  expect((await keyring.encrypt(tenantId, 'contacts', 'x')).enc).toContain('/contacts/1:');
  const command = request();
  const first = await rpc.rotate(call(tenantId, command));
  expect(first).toMatchObject({ status: 200, body: { tenantId, keyVersion: 2, rotatedAt: clock.now() }, version: 1 });
  expect((await keyring.encrypt(tenantId, 'contacts', 'x')).enc).toContain('/contacts/2:');
  await rpc.rotate(call(tenantId));
  expect(await rpc.rotate(call(tenantId, command))).toEqual(first);
  expect(await rotated(tenantId)).toMatchObject([{ keyVersion: 2, cause: 'requested' }, { keyVersion: 3 }]);
  expect((await rpc.list(call(tenantId))).body.items.map(({ keyVersion }) => keyVersion)).toEqual([3, 2, 1]);
});

it('goes on after a crash between the key and the event: the same key, and then the event', async () => {
  const tenantId = newId();
  const { rpc, rotated } = await given(tenantId);
  const command = request();
  expect(await keys.rotate(tenantId, command.id)).toBe(2);
  expect(await rpc.rotate(call(tenantId, command))).toMatchObject({ body: { keyVersion: 2 } });
  expect(await rotated(tenantId)).toHaveLength(1);
  expect((await keys.versions(tenantId)).length).toBe(2);
});

it('makes no key on another version than was expected, and repeats what was made on it', async () => {
  const tenantId = newId();
  const { rpc, rotated } = await given(tenantId);
  const [command, late] = [
    { ...request(), ifMatch: 0 },
    { ...request(), ifMatch: 0 },
  ];
  const first = await rpc.rotate(call(tenantId, command));
  expect(first).toMatchObject({ body: { keyVersion: 2 }, version: 1 });
  await expect(rpc.rotate(call(tenantId, late))).rejects.toMatchObject({ code: 'precondition.failed' });
  expect(await rpc.rotate(call(tenantId, command))).toEqual(first);
  expect((await keys.versions(tenantId)).map(({ keyVersion }) => keyVersion)).toEqual([2, 1]);
  expect(await rotated(tenantId)).toHaveLength(1);
});

it('rotates nothing of a tenant that is unknown or erased, nor the logs of the platform', async () => {
  const tenantId = newId();
  const { rpc, rotated } = await given(tenantId);
  await keys.destroy(tenantId);
  await expect(rpc.rotate(call(tenantId))).rejects.toMatchObject({ code: 'keys.destroyed' });
  for (const none of [newId(), PLATFORM_LOG]) await expect(rpc.rotate(call(none))).rejects.toMatchObject({ code: 'tenant.not_found' });
  expect(await rotated(tenantId)).toEqual([]);
});

it('rotates by age: once, by however many replicas, and without making a log where there is none', async () => {
  const [old, young, abandoned] = [newId(), newId(), newId()];
  const one = await given(old, young, PLATFORM_LOG);
  await keys.ensure(abandoned, ['requests']);
  await database.pool.query(`UPDATE identity.tenant_keys SET created_at = now() - interval '400 days' WHERE tenant_id = ANY($1)`, [
    [old, abandoned, PLATFORM_LOG],
  ]);
  const round = () => new RotateByAge(keys, one.rotation, one.log, silentLogger, { values: {} as never }).rotateOlderThan(365);
  await Promise.all([round(), round(), round()]);
  await round();
  expect(await one.rotated(old)).toMatchObject([{ keyVersion: 2, cause: 'age' }]);
  expect(await one.rotated(PLATFORM_LOG)).toMatchObject([{ keyVersion: 2 }]);
  expect(await one.rotated(young)).toEqual([]);
  expect(await one.events(abandoned)).toEqual([]);
  expect(await keys.olderThan(365, 10)).toEqual([]);
  // Its own keys are still given to those who do not know of the rotation.
  expect((await keys.open(old, [`${old}/requests/1`])).length).toBe(1);
});

it('tries the others where one of them cannot be rotated, and says so', async () => {
  const [broken, fine] = [newId(), newId()];
  const of = await given(broken, fine);
  await database.pool.query(`UPDATE identity.tenant_keys SET created_at = now() - interval '400 days' WHERE tenant_id = ANY($1)`, [
    [broken, fine],
  ]);
  const rotation = {
    rotate: (tenantId: string, ...rest: [never, never]) =>
      tenantId === broken ? Promise.reject(new Error(randomUUID())) : of.rotation.rotate(tenantId, ...rest),
  };
  const job = new RotateByAge(keys, rotation as never, of.log, silentLogger, { values: {} as never });
  await expect(job.rotateOlderThan(365)).rejects.toThrow('1 of 2 keys');
  expect(await of.rotated(fine)).toHaveLength(1);
  expect(await keys.olderThan(365, 10)).toMatchObject([{ tenantId: broken }]);
});
