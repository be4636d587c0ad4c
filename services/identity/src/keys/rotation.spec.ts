import { randomUUID } from 'node:crypto';
import { copyFile, mkdtemp, rename, rm, unlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { newId, PLATFORM_LOG } from '@tenantry/contracts/ids';
import { LocalKms } from '@tenantry/crypto/kms';
import type pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { SigningKeys } from '../signing/signing-keys.js';
import { identityDatabase } from '../testing/database.js';
import { DatabaseKeyring } from './database-keyring.js';
import { KeyStore } from './key-store.js';
import { MasterKeys } from './master-keys.js';

type Batch = Awaited<ReturnType<MasterKeys['rewrap']>>;

let database: Awaited<ReturnType<typeof identityDatabase>>;
let folder: string;
let kms: LocalKms;
beforeAll(async () => {
  database = await identityDatabase();
}, 120_000);
afterAll(() => database.stop());
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tenantry-kms-'));
  kms = await LocalKms.fromFileOrNew(join(folder, 'kms.key'));
  await database.pool.query('TRUNCATE identity.tenant_keys, identity.subject_keys, identity.signing_keys');
  return () => rm(folder, { recursive: true });
});

const store = (by = kms) => new KeyStore(database.pool, by);
const newestId = async (of: KeyStore, tenantId: string, subject: string) => (await of.ensure(tenantId, [subject])).keys[0]?.id;

describe("a tenant's key that is rotated", () => {
  it('encrypts from then on with a newer one, and reads with both', async () => {
    const [tenantId, other] = [newId(), newId()];
    const keyring = new DatabaseKeyring(store());
    const before = await keyring.encrypt(tenantId, 'contacts', 'a@example.com');
    await keyring.encrypt(other, 'contacts', 'b@example.com');
    const index = await keyring.hmac(tenantId, 'email', 'a@example.com');
    expect(await store().rotate(tenantId, randomUUID())).toBe(2);
    keyring.forget(tenantId);
    const after = await keyring.encrypt(tenantId, 'contacts', 'c@example.com');
    expect([before.enc, after.enc].map((enc) => enc.split(':')[0])).toEqual([`${tenantId}/contacts/1`, `${tenantId}/contacts/2`]);
    for (const reader of [keyring, new DatabaseKeyring(store())]) {
      expect(await reader.reveal(tenantId, before)).toBe('a@example.com');
      expect(await reader.reveal(tenantId, after)).toBe('c@example.com');
      // Else nobody would be found by his address any more.
      expect(await reader.hmac(tenantId, 'email', 'a@example.com')).toBe(index);
    }
    expect(await newestId(store(), other, 'contacts')).toBe(`${other}/contacts/1`);
    expect(await store().versions(tenantId)).toMatchObject([
      { keyVersion: 2, destroyedAt: null },
      { keyVersion: 1, destroyedAt: null },
    ]);
  });

  it('gets one version per command, however often and by how many that is given', async () => {
    const tenantId = newId();
    await store().ensure(tenantId, ['x']);
    const command = randomUUID();
    const made = await Promise.all(Array.from({ length: 8 }, () => store().rotate(tenantId, command)));
    expect(new Set(made)).toEqual(new Set([2]));
    const others = await Promise.all(Array.from({ length: 5 }, () => store().rotate(tenantId, randomUUID())));
    expect(others.toSorted()).toEqual([3, 4, 5, 6, 7]);
    expect(await store().rotate(tenantId, command)).toBe(2);
    expect(await store().rotate(newId(), randomUUID())).toBeNull();
  });

  it('leaves nothing unreadable under concurrent writers and readers in several replicas', async () => {
    const tenantId = newId();
    const replicas = Array.from({ length: 3 }, () => new DatabaseKeyring(store()));
    const sealed: { enc: string; text: string }[] = [];
    let isOver = false;
    const writer = async (keyring: DatabaseKeyring, name: string) => {
      for (let n = 0; !isOver; n++) {
        const text = `${name}-${n}`;
        sealed.push({ ...(await keyring.encrypt(tenantId, `subject-${n % 5}`, text)), text });
        await new Promise((resolve) => setImmediate(resolve));
      }
    };
    const reader = async (keyring: DatabaseKeyring) => {
      while (!isOver) {
        const one = sealed[Math.floor(Math.random() * sealed.length)];
        if (one) expect(await keyring.reveal(tenantId, one)).toBe(one.text);
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    };
    const work = replicas.flatMap((keyring, n) => [writer(keyring, `w${n}`), reader(keyring)]);
    for (let n = 0; n < 6; n++) {
      await store().rotate(tenantId, randomUUID());
      // One replica hears of it, another only meets what is written; the third doesn't look at all.
      replicas[n % 2]?.forget(tenantId);
      await new Promise((resolve) => setTimeout(resolve, 40));
    }
    isOver = true;
    await Promise.all(work);
    const versions = new Set(sealed.map(({ enc }) => Number(enc.split(':')[0]?.split('/')[2])));
    expect(versions.size).toBeGreaterThan(3);
    const fresh = new DatabaseKeyring(store());
    for (const { enc, text } of sealed) expect(await fresh.reveal(tenantId, { enc })).toBe(text);
  });

  it('is destroyed in every version, whatever is made at the same time', async () => {
    for (let round = 0; round < 15; round++) {
      const tenantId = newId();
      await store().ensure(tenantId, ['a', 'b']);
      await store().rotate(tenantId, randomUUID());
      const late = (work: Promise<unknown>) =>
        work.catch((error: { code?: string }) => {
          if (error.code !== 'keys.destroyed') throw error;
        });
      await Promise.all([
        ...['a', 'b', 'c', 'd'].map((subject) => late(store().ensure(tenantId, [subject, 'all']))),
        late(store().rotate(tenantId, randomUUID())),
        store().destroy(tenantId),
        late(store().rotate(tenantId, randomUUID())),
      ]);
      expect(await store().countUsable(tenantId)).toBe(0);
      expect(await store().open(tenantId, [`${tenantId}/a/1`, `${tenantId}/a/2`])).toEqual([]);
      await expect(store().rotate(tenantId, randomUUID())).rejects.toMatchObject({ code: 'keys.destroyed' });
      await expect(store().ensure(tenantId, ['a'])).rejects.toMatchObject({ code: 'keys.destroyed' });
    }
  });

  it("destroys a subject's key of every version, and makes it no other one", async () => {
    const tenantId = newId();
    const keyring = new DatabaseKeyring(store());
    await keyring.encrypt(tenantId, 'member-1', 'x');
    await store().rotate(tenantId, randomUUID());
    keyring.forget(tenantId);
    const second = await keyring.encrypt(tenantId, 'member-1', 'y');
    await store().rotate(tenantId, randomUUID());
    await store().destroySubject(tenantId, 'member-1');
    await expect(new DatabaseKeyring(store()).reveal(tenantId, second)).rejects.toMatchObject({ code: 'keys.destroyed' });
    await expect(store().ensure(tenantId, ['member-1'])).rejects.toMatchObject({ code: 'keys.destroyed' });
    expect(await newestId(store(), tenantId, 'member-2')).toBe(`${tenantId}/member-2/1`);
  });

  it('is found by its age, until it has a newer version', async () => {
    const [old, young, gone] = [newId(), newId(), newId()];
    for (const tenantId of [old, young, gone]) await store().ensure(tenantId, ['x']);
    await store().destroy(gone);
    await database.pool.query(`UPDATE identity.tenant_keys SET created_at = now() - interval '40 days' WHERE tenant_id <> $1`, [young]);
    expect(await store().olderThan(30, 10)).toEqual([{ tenantId: old, keyVersion: 1 }]);
    await store().rotate(old, randomUUID());
    expect(await store().olderThan(30, 10)).toEqual([]);
  });
});

describe('a master key that is replaced', () => {
  /** The old one goes aside, a new one takes its place. */
  async function replaced(): Promise<LocalKms> {
    await rename(join(folder, 'kms.key'), join(folder, 'kms.old.key'));
    return LocalKms.fromFileOrNew(join(folder, 'kms.key'));
  }
  const keysOf = (pool: pg.Pool, by: LocalKms) => new MasterKeys(pool, by);
  async function rewrapAll(keys: MasterKeys, portions = Array.from({ length: 16 }, (_, n): number | null => n).concat(null)) {
    let rewrapped = 0;
    for (const portion of portions) {
      let from: Batch['from'] = null;
      for (let isLast = false; !isLast; ) {
        const batch: Batch = await keys.rewrap(keys.current, portion, from);
        ({ from, isLast } = batch);
        rewrapped += batch.rewrapped;
      }
    }
    return rewrapped;
  }
  /** As a fault of a disk, or a restored row of another installation, would leave it. */
  const spoil = (tenantId: string, version = 1) =>
    database.pool.query(`UPDATE identity.tenant_keys SET wrapped = '\\x00'::bytea || wrapped WHERE tenant_id = $1 AND version = $2`, [
      tenantId,
      version,
    ]);

  it('can be removed once everything is wrapped anew, and not before', async () => {
    const tenants = [PLATFORM_LOG, ...Array.from({ length: 40 }, () => newId())];
    const sealed = await Promise.all(tenants.map((tenantId) => new DatabaseKeyring(store()).encrypt(tenantId, 'contacts', tenantId)));
    for (const tenantId of tenants.slice(0, 10)) await store().rotate(tenantId, randomUUID());
    const erased = tenants.at(-1) as string;
    await store().destroy(erased);
    // As a release left them that didn't write down by which.
    await database.pool.query('UPDATE identity.tenant_keys SET master_key = NULL WHERE tenant_id = $1', [tenants[3]]);
    const signing = await new SigningKeys(database.pool, kms).current();

    const both = await replaced();
    const alone = async () => {
      const away = await mkdtemp(join(tmpdir(), 'tenantry-kms-'));
      await copyFile(join(folder, 'kms.key'), join(away, 'kms.key'));
      return LocalKms.fromFile(join(away, 'kms.key')).finally(() => rm(away, { recursive: true }));
    };
    await expect(keysOf(database.pool, await alone()).demandAll()).rejects.toThrow(kms.current);
    await keysOf(database.pool, both).demandAll();
    // Both are in use meanwhile: new tenants are of the new one, and everybody reads everything.
    const newcomer = await new DatabaseKeyring(store(both)).encrypt(newId(), 'x', 'new');

    // Two at once, of which one stops in the middle.
    const [first] = await Promise.all([
      rewrapAll(keysOf(database.pool, both), [0, 1, 2, 3]),
      rewrapAll(keysOf(database.pool, both), [2, 3, 4]),
    ]);
    expect(first).toBeGreaterThan(0);
    await rewrapAll(keysOf(database.pool, both));
    expect(await rewrapAll(keysOf(database.pool, both))).toBe(0);
    expect((await keysOf(database.pool, both).state()).wrapped.map(({ masterKey }) => masterKey)).toEqual([both.current]);

    await unlink(join(folder, 'kms.old.key'));
    const after = await LocalKms.fromFile(join(folder, 'kms.key'));
    expect(after.known).toEqual([both.current]);
    await keysOf(database.pool, after).demandAll();
    const keyring = new DatabaseKeyring(store(after));
    for (const [n, tenantId] of tenants.entries()) {
      if (tenantId === erased) await expect(keyring.reveal(tenantId, sealed[n])).rejects.toMatchObject({ code: 'keys.destroyed' });
      else expect(await keyring.reveal(tenantId, sealed[n])).toBe(tenantId);
    }
    expect(await keyring.reveal(newcomer.enc.split('/')[0] as string, newcomer)).toBe('new');
    expect(await new SigningKeys(database.pool, after).current()).toEqual(signing);
  });

  it('is wrapped anew in batches, which lose nobody at their edges', async () => {
    const tenants = Array.from({ length: 130 }, (_, n) => `${newId().slice(0, -1)}${n < 125 ? '7' : '8'}`);
    for (const tenantId of tenants) {
      await store().ensure(tenantId, ['x']);
      await store().rotate(tenantId, randomUUID());
    }
    const both = await replaced();
    const { rewrapped, from, isLast } = await keysOf(database.pool, both).rewrap(both.current, 7, null);
    expect([rewrapped, isLast]).toEqual([200, false]);
    expect(await keysOf(database.pool, both).rewrap(both.current, 7, from)).toMatchObject({ rewrapped: 50, isLast: true });
    expect((await keysOf(database.pool, both).state()).wrapped).toEqual(
      expect.arrayContaining([
        { masterKey: kms.current, keys: 10 },
        { masterKey: both.current, keys: 250 },
      ]),
    );
  }, 30_000);

  it('goes on past keys that it does not open: they are named, need their master key, and are wrapped anew once they are put back', async () => {
    const tenants = Array.from({ length: 4 }, () => `${newId().slice(0, -1)}7`).toSorted();
    for (const tenantId of tenants) await store().ensure(tenantId, ['x']);
    await store().rotate(tenants[1] as string, randomUUID());
    const { kid } = await new SigningKeys(database.pool, kms).current();
    const sound = await database.pool.query('SELECT * FROM identity.tenant_keys WHERE tenant_id = $1 AND version = 1', [tenants[0]]);
    await spoil(tenants[0] as string);
    await spoil(tenants[1] as string, 2);
    await database.pool.query(`UPDATE identity.signing_keys SET wrapped = '\\x00'`);
    const both = await replaced();
    const keys = keysOf(database.pool, both);

    const first = await keys.rewrap(both.current, 7, null);
    const bad = [
      { id: tenants[0], version: 1 },
      { id: tenants[1], version: 2 },
    ];
    expect(first).toMatchObject({ rewrapped: 3, unopened: bad, isLast: true });
    expect(await keys.rewrap(both.current, null, null)).toMatchObject({ rewrapped: 0, unopened: [{ id: kid }], isLast: true });
    // Again, as a second process or a retry does it: the rest is done, these are found once more, and since when is kept.
    const seen = (await keys.state()).unopened;
    expect(await keys.rewrap(both.current, 7, null)).toMatchObject({ rewrapped: 0, unopened: bad });
    const state = await keys.state();
    expect(state.unopened).toEqual(seen);
    expect(state).toMatchObject({
      removable: [],
      wrapped: expect.arrayContaining([
        { masterKey: kms.current, keys: 3 },
        { masterKey: both.current, keys: 3 },
      ]),
      unopened: {
        keys: 3,
        items: [
          { tenantId: tenants[0], keyVersion: 1, signingKeyId: null, masterKey: kms.current },
          { tenantId: tenants[1], keyVersion: 2, signingKeyId: null },
          { tenantId: null, keyVersion: null, signingKeyId: kid },
        ],
      },
    });

    await database.pool.query('UPDATE identity.tenant_keys SET wrapped = $2 WHERE tenant_id = $1', [tenants[0], sound.rows[0].wrapped]);
    await store().destroy(tenants[1] as string);
    expect(await keys.rewrap(both.current, 7, null)).toMatchObject({ rewrapped: 1, unopened: [] });
    expect(await keys.state()).toMatchObject({ removable: [], unopened: { keys: 1, items: [{ signingKeyId: kid }] } });
    // Put back by somebody else, under the current one.
    const anew = await both.wrap(Buffer.alloc(32), `signing/${kid}`);
    await database.pool.query('UPDATE identity.signing_keys SET wrapped = $1, master_key = $2', [anew, both.current]);
    expect(await keys.rewrap(both.current, null, null)).toMatchObject({ rewrapped: 1, unopened: [] });
    expect(await keys.state()).toMatchObject({ removable: [kms.current], unopened: { keys: 0, items: [] } });
  });

  it('goes on past more such keys than a batch has, also where one tenant has them all', async () => {
    const [spoilt, fine] = [`${newId().slice(0, -1)}7`, 'ffffffff-ffff-4fff-bfff-fffffffffff7'];
    for (const tenantId of [spoilt, fine]) await store().ensure(tenantId, ['x']);
    await database.pool.query(
      `INSERT INTO identity.tenant_keys (tenant_id, version, wrapped, master_key) SELECT $1, n, '\\x00', $2 FROM generate_series(2, 450) n`,
      [spoilt, kms.current],
    );
    const both = await replaced();
    const keys = keysOf(database.pool, both);
    expect(await rewrapAll(keys, [7])).toBe(2);
    expect((await keys.state()).unopened.keys).toBe(449);
  });

  it('is asked of the keys of which nobody wrote down what wrapped them, as long as any of them says so', async () => {
    const tenants = [newId(), newId()];
    for (const tenantId of tenants) await store().ensure(tenantId, ['x']);
    await database.pool.query('UPDATE identity.tenant_keys SET master_key = NULL');
    await spoil(tenants[0] as string);
    const keys = keysOf(database.pool, await replaced());
    await keys.demandAll();
    expect((await keys.state()).removable).toEqual([]);
    await spoil(tenants[1] as string);
    await expect(keys.demandAll()).rejects.toThrow('No master key that is there');
  });

  it('is not wrapped by a process that has another one', async () => {
    const both = await replaced();
    await expect(keysOf(database.pool, kms).rewrap(both.current, 0, null)).rejects.toMatchObject({ code: 'keys.other_master_key' });
  });

  it('brings back no key that is destroyed while it is wrapped anew', async () => {
    const tenantId = `${newId().slice(0, -1)}7`;
    await store().ensure(tenantId, ['x']);
    const both = await replaced();
    const pool = {
      query: async (text: string, values: unknown[]) => {
        if (text.includes('UPDATE')) await store().destroy(tenantId);
        return database.pool.query(text, values);
      },
    } as unknown as pg.Pool;
    expect(await keysOf(pool, both).rewrap(both.current, 7, null)).toMatchObject({ rewrapped: 0 });
    expect(await store().countUsable(tenantId)).toBe(0);
  });
});

describe('the key that signs', () => {
  it('is another one after its rotation, once per command, and the old ones stay published', async () => {
    const replicas = Array.from({ length: 4 }, () => new SigningKeys(database.pool, kms));
    const first = (await replicas[0]?.current())?.kid as string;
    const command = randomUUID();
    const [second] = new Set(await Promise.all(replicas.map((replica) => replica.rotate(command))));
    const more = await Promise.all(replicas.map((replica) => replica.rotate(randomUUID())));
    expect(new Set([first, second, ...more]).size).toBe(6);
    const published = (await replicas[1]?.published())?.map(({ kid }) => kid) ?? [];
    expect(published).toHaveLength(6);
    expect(published).toContain(first);
    expect(published[0]).toBe((await replicas[2]?.current())?.kid);
    expect(await replicas[3]?.rotate(command)).toBe(second);
  });
});
