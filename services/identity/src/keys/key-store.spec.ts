import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { newId } from '@tenantry/contracts/ids';
import { type Kms, LocalKms } from '@tenantry/crypto/kms';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { identityDatabase } from '../testing/database.js';
import { DatabaseKeyring } from './database-keyring.js';
import { KeyStore } from './key-store.js';

let database: Awaited<ReturnType<typeof identityDatabase>>;
let folder: string;
let kms: Kms;
beforeAll(async () => {
  database = await identityDatabase();
  folder = await mkdtemp(join(tmpdir(), 'tenantry-kms-'));
  kms = await LocalKms.fromFileOrNew(join(folder, 'master.key'));
}, 120_000);
afterAll(async () => {
  await database.stop();
  await rm(folder, { recursive: true });
});

const hex = ({ keys }: Awaited<ReturnType<KeyStore['ensure']>>) =>
  Object.fromEntries(keys.map(({ subject, key }) => [subject, key.toString('hex')]).sort());
/** Counts the round trips. */
const counted = (pool: pg.Pool) => {
  const counter = { queries: 0 };
  const query = (...args: unknown[]) => {
    counter.queries++;
    return (pool.query as (...args: unknown[]) => unknown)(...args);
  };
  return { counter, pool: { query } as unknown as pg.Pool };
};

describe('keys of a tenant', () => {
  it('are made at first use, in two round trips, and read in one', async () => {
    const { counter, pool } = counted(database.pool);
    const store = new KeyStore(pool, kms);
    const tenantId = newId();
    const made = await store.ensure(tenantId, ['contacts', 'config', 'contacts']);
    expect(made.tenantKeyVersion).toBe(1);
    expect(made.keys.map(({ id }) => id).sort()).toEqual([`${tenantId}/config/1`, `${tenantId}/contacts/1`]);
    expect(counter.queries).toBe(2);
    expect(hex(await store.ensure(tenantId, ['contacts', 'config']))).toEqual(hex(made));
    expect(counter.queries).toBe(3);
  });

  it('are the same for another process, which only has the master key', async () => {
    const tenantId = newId();
    const made = await new KeyStore(database.pool, kms).ensure(tenantId, ['a', 'b']);
    const again = new KeyStore(database.pool, await LocalKms.fromFile(join(folder, 'master.key')));
    expect(hex(await again.ensure(tenantId, ['b', 'a']))).toEqual(hex(made));
  });

  it('are agreed on by many who make them at once', async () => {
    const tenantId = newId();
    const subjects = ['a', 'b', 'c', 'd'];
    const results = await Promise.all(
      Array.from({ length: 20 }, (_, index) => new KeyStore(database.pool, kms).ensure(tenantId, [subjects[index % 4] as string, 'all'])),
    );
    const final = hex(await new KeyStore(database.pool, kms).ensure(tenantId, [...subjects, 'all']));
    for (const result of results) expect(final).toMatchObject(hex(result));
  });

  it('differ between tenants and are nowhere stored in clear', async () => {
    const store = new KeyStore(database.pool, kms);
    const [one, two] = await Promise.all([store.ensure(newId(), ['x']), store.ensure(newId(), ['x'])]);
    expect(hex(one)).not.toEqual(hex(two));
    const { rows } = await database.pool.query(
      'SELECT wrapped FROM identity.subject_keys UNION ALL SELECT wrapped FROM identity.tenant_keys',
    );
    for (const { wrapped } of rows) expect(wrapped.includes(one.keys[0]?.key as Buffer)).toBe(false);
  });

  it('are of no use with another master key', async () => {
    const tenantId = newId();
    await new KeyStore(database.pool, kms).ensure(tenantId, ['x']);
    const other = await LocalKms.fromFileOrNew(join(folder, 'other.key'));
    await expect(new KeyStore(database.pool, other).ensure(tenantId, ['x'])).rejects.toThrow();
  });

  it('are not made again once they were destroyed', async () => {
    const store = new KeyStore(database.pool, kms);
    const [tenantId, erased] = [newId(), newId()];
    await Promise.all([store.ensure(tenantId, ['member-1', 'member-2']), store.ensure(erased, ['x'])]);
    await store.destroySubject(tenantId, 'member-1');
    expect(await store.countUsable(erased)).toBe(2);
    await store.destroy(erased);
    await store.destroy(erased);
    expect(await store.countUsable(erased)).toBe(0);
    await expect(store.ensure(tenantId, ['member-1'])).rejects.toMatchObject({ code: 'keys.destroyed' });
    await expect(store.ensure(erased, ['x', 'y'])).rejects.toMatchObject({ code: 'keys.destroyed' });
    expect((await store.ensure(tenantId, ['member-2'])).keys).toHaveLength(1);
  });

  it('are never made for a tenant that was erased before it had any', async () => {
    const store = new KeyStore(database.pool, kms);
    const tenantId = newId();
    await store.destroy(tenantId);
    await expect(store.ensure(tenantId, ['x'])).rejects.toMatchObject({ code: 'keys.destroyed' });
  });

  it('encrypt and reveal through the keyring', async () => {
    const keyring = new DatabaseKeyring(new KeyStore(database.pool, kms));
    const tenantId = newId();
    const secret = randomBytes(8).toString('hex');
    const sealed = await keyring.encrypt(tenantId, 'contacts', secret);
    expect(sealed.enc).toContain(`${tenantId}/contacts/1:`);
    expect(await new DatabaseKeyring(new KeyStore(database.pool, kms)).reveal(tenantId, sealed)).toBe(secret);
  });
});
