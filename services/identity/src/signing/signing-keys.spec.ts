import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LocalKms } from '@tenantry/crypto/kms';
import { signatureFault } from '@tenantry/crypto/signature';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { identityDatabase } from '../testing/database.js';
import { platform, request } from '../testing/platform.js';
import { RotateSigningKeyRpc } from './rotate-signing-key.rpc.js';
import { SignRpc } from './sign.rpc.js';
import { SigningKeys } from './signing-keys.js';

let database: Awaited<ReturnType<typeof identityDatabase>>;
let folder: string;
beforeAll(async () => {
  database = await identityDatabase();
  folder = await mkdtemp(join(tmpdir(), 'tenantry-kms-'));
}, 120_000);
afterAll(async () => {
  await database.stop();
  await rm(folder, { recursive: true });
});

it('replicas agree on one key, and its signatures hold by the published one', async () => {
  const kms = await LocalKms.fromFileOrNew(join(folder, 'master.key'));
  const replicas = Array.from({ length: 6 }, () => new SigningKeys(database.pool, kms));
  const keys = await Promise.all(replicas.map((replica) => replica.current()));
  expect(new Set(keys.map(({ kid }) => kid)).size).toBe(1);
  const published = await replicas[0]!.published();
  expect(published.map(({ kid }) => kid)).toEqual([keys[0]!.kid]);
  const { keyId, signature } = await new SignRpc(replicas[3]!).handle({ purpose: 'isolation-report', text: '{"a":1}' });
  expect(keyId).toBe(keys[0]!.kid);
  expect(signatureFault(signature, 'isolation-report', '{"a":1}', published)).toBeNull();
  const { rows } = await database.pool.query('SELECT jwk::text, wrapped FROM identity.signing_keys');
  expect(rows[0].jwk).not.toContain('"d"');
  expect(rows[0].wrapped.includes(keys[0]!.privateKey)).toBe(false);
});

it('its rotation makes no key on another version than was expected', async () => {
  const signingKeys = new SigningKeys(database.pool, await LocalKms.fromFileOrNew(join(folder, 'master.key')));
  const { log, clock } = platform();
  const rotate = (command: object) => new RotateSigningKeyRpc(log, signingKeys, clock).handle({ command } as never);
  const first = await rotate(request());
  const before = await signingKeys.published();
  expect([first.version, first.body.keyId]).toEqual([0, before[0]?.kid]);
  const [late, next] = [
    { ...request(), ifMatch: 7 },
    { ...request(), ifMatch: 0 },
  ];
  await expect(rotate(late)).rejects.toMatchObject({ code: 'precondition.failed' });
  expect(await signingKeys.published()).toEqual(before);
  const second = await rotate(next);
  expect(await rotate(next)).toEqual(second);
  expect(await signingKeys.published()).toHaveLength(before.length + 1);
});
