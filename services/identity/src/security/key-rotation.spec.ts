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
  const dueIn = async () => {
    const { rows } = await database.pool.query<{ s: number }>(
      'SELECT extract(epoch FROM rotate_after - now())::float AS s FROM identity.tenant_keys WHERE tenant_id = $1',
      [broken],
    );
    return rows[0]?.s;
  };
  // Longer each time, and not for ever.
  for (const seconds of [60, 120, 240]) {
    expect(await keys.olderThan(365, 10)).toEqual([]);
    expect(await dueIn()).toBeGreaterThan(seconds - 30);
    expect(await dueIn()).toBeLessThanOrEqual(seconds);
    await database.pool.query('UPDATE identity.tenant_keys SET rotate_after = now() WHERE tenant_id = $1', [broken]);
    expect(await keys.olderThan(365, 10)).toMatchObject([{ tenantId: broken }]);
    const rounds = await Promise.allSettled([job.rotateOlderThan(365), job.rotateOlderThan(365)]);
    expect(rounds.map(({ status }) => status)).toContain('rejected');
  }
  await database.pool.query('UPDATE identity.tenant_keys SET rotation_failures = 2000, rotate_after = now() WHERE tenant_id = $1', [
    broken,
  ]);
  await expect(job.rotateOlderThan(365)).rejects.toThrow(broken);
  expect(await dueIn()).toBeLessThanOrEqual(86_400);
  expect(await dueIn()).toBeGreaterThan(80_000);
});

it('goes past the oldest in the next round, however many of them cannot be rotated', async () => {
  const broken = new Set(Array.from({ length: 25 }, () => newId()));
  const fine = newId();
  const of = await given(...broken, fine);
  const aged = (tenants: string[], days: number) =>
    database.pool.query(`UPDATE identity.tenant_keys SET created_at = now() - make_interval(days => $2) WHERE tenant_id = ANY($1)`, [
      tenants,
      days,
    ]);
  await aged([...broken], 500);
  await aged([fine], 400);
  const rotation = {
    rotate: (tenantId: string, ...rest: [never, never]) =>
      broken.has(tenantId) ? Promise.reject(new Error('its database is down')) : of.rotation.rotate(tenantId, ...rest),
  };
  const job = new RotateByAge(keys, rotation as never, of.log, silentLogger, { values: {} as never });
  await expect(job.rotateOlderThan(365)).rejects.toThrow('20 of 20 keys');
  expect(await of.rotated(fine)).toEqual([]);
  await expect(job.rotateOlderThan(365)).rejects.toThrow('5 of 6 keys');
  expect(await of.rotated(fine)).toHaveLength(1);
  // Nor in front of those that have become old meanwhile, once it is their time again.
  await aged([fine], 400);
  await database.pool.query('UPDATE identity.tenant_keys SET rotate_after = now() WHERE rotate_after IS NOT NULL');
  expect(await keys.olderThan(365, 1)).toMatchObject([{ tenantId: fine }]);
});
