import { describe, expect, it, vi } from 'vitest';
import { type CacheOptions, CachingKeyring, type KeyOwner } from './remote-keyring.js';

function setUp(options: CacheOptions = {}) {
  let version = 1;
  let now = 1_000_000;
  const fetchKeys = vi.fn<KeyOwner['ensure']>(async (tenantId, subjects) =>
    subjects.map((subject) => ({ subject, id: `${tenantId}/${subject}/${version}`, key: Buffer.alloc(32, version) })),
  );
  const open = vi.fn<KeyOwner['open']>(async (_tenantId, ids) =>
    ids.flatMap((id) => (Number(id.split('/')[2]) <= version ? [{ id, key: Buffer.alloc(32, Number(id.split('/')[2])) }] : [])),
  );
  const keyring = new CachingKeyring({ ensure: fetchKeys, open }, { nowMs: () => now, ...options });
  const ids = async (tenant: string, ...subjects: string[]) => [...(await keyring.keys(tenant, subjects)).values()].map(({ id }) => id);
  const opened = async (tenant: string, ...named: string[]) => [...(await keyring.opening(tenant, named)).keys()].sort();
  return { keyring, fetchKeys, open, ids, opened, rotate: () => version++, pass: (ms: number) => (now += ms) };
}

describe('a caching keyring', () => {
  it('asks once for all that it lacks, and then no more', async () => {
    const { ids, fetchKeys } = setUp();
    expect((await ids('t', 'a', 'b')).sort()).toEqual(['t/a/1', 't/b/1']);
    await ids('t', 'a', 'b', 'c', 'c');
    await ids('t', 'c');
    expect(fetchKeys.mock.calls).toEqual([
      ['t', ['a', 'b']],
      ['t', ['c']],
    ]);
  });

  it('shares one question between those who ask at once', async () => {
    const { ids, fetchKeys } = setUp();
    await Promise.all([ids('t', 'a', 'b'), ids('t', 'a'), ids('t', 'b', 'c'), ids('t', 'c')]);
    expect(fetchKeys.mock.calls.map(([, subjects]) => subjects)).toEqual([['a', 'b'], ['c']]);
  });

  it('asks again after 5 minutes, however long it was told to wait', async () => {
    const { ids, rotate, pass } = setUp({ maxAgeMs: 3_600_000 });
    await ids('t', 'a');
    rotate();
    pass(299_999);
    expect(await ids('t', 'a')).toEqual(['t/a/1']);
    pass(1);
    expect(await ids('t', 'a')).toEqual(['t/a/2']);
  });

  it('keeps the bytes of a key and not the block that they were cut out of', async () => {
    // As out of base64: from Node's pool of small buffers.
    const cut = () => Buffer.from(Buffer.alloc(32, 7).toString('base64'), 'base64');
    expect(cut().buffer.byteLength).toBeGreaterThan(32);
    const keyring = new CachingKeyring({
      ensure: async (_tenantId, subjects) => subjects.map((subject) => ({ subject, id: `t/${subject}/2`, key: cut() })),
      open: async (_tenantId, ids) => ids.map((id) => ({ id, key: cut() })),
    });
    const kept = [...(await keyring.keys('t', ['a', 'b'])).values(), ...(await keyring.opening('t', ['t/a/1'])).values()];
    expect(kept.map(({ key }) => [key.buffer.byteLength, key.equals(cut())])).toEqual(Array(3).fill([32, true]));
  });

  it('lets go of tenants that nobody asked about for as long as a key may be used', async () => {
    const { ids, keyring, pass, fetchKeys } = setUp();
    await ids('t', 'a');
    await ids('u', 'a');
    pass(200_000);
    await ids('t', 'a');
    expect([keyring.size, fetchKeys.mock.calls.length]).toEqual([2, 2]);
    pass(100_000);
    await ids('v', 'a');
    expect(keyring.size).toBe(2);
    pass(300_000);
    await ids('v', 'a');
    expect(keyring.size).toBe(1);
  });

  it('does not remember a failure', async () => {
    const { ids, fetchKeys } = setUp();
    fetchKeys.mockRejectedValueOnce(new Error('no answer'));
    await expect(ids('t', 'a')).rejects.toThrow('no answer');
    expect(await ids('t', 'a')).toEqual(['t/a/1']);
  });

  it('forgets a tenant, also what is on its way', async () => {
    const { ids, keyring, rotate, fetchKeys } = setUp();
    await ids('t', 'a');
    let answer: () => void = () => undefined;
    fetchKeys.mockImplementationOnce(async () => {
      await new Promise<void>((resolve) => {
        answer = resolve;
      });
      return [{ subject: 'b', id: 't/b/1', key: Buffer.alloc(32) }];
    });
    const onItsWay = ids('t', 'b');
    keyring.forget('t');
    rotate();
    answer();
    await onItsWay;
    expect((await ids('t', 'a', 'b')).sort()).toEqual(['t/a/2', 't/b/2']);
  });

  it('holds a bounded number of tenants, those used last', async () => {
    const { ids, fetchKeys } = setUp({ maxTenants: 2 });
    await ids('t1', 'a');
    await ids('t2', 'a');
    await ids('t1', 'a');
    await ids('t3', 'a');
    await ids('t1', 'a');
    await ids('t2', 'a');
    expect(fetchKeys.mock.calls.map(([tenant]) => tenant)).toEqual(['t1', 't2', 't3', 't2']);
  });

  it('reads every version, and asks for none that it has', async () => {
    const { ids, opened, open, rotate } = setUp();
    await ids('t', 'a');
    rotate();
    expect(await opened('t', 't/a/1')).toEqual(['t/a/1']);
    expect(open).not.toHaveBeenCalled();
    expect(await opened('t', 't/a/1', 't/b/1', 't/b/2')).toEqual(['t/a/1', 't/b/1', 't/b/2']);
    expect(await opened('t', 't/b/2')).toEqual(['t/b/2']);
    expect(open.mock.calls).toEqual([['t', ['t/b/1', 't/b/2']]]);
  });

  it('encrypts with a newer key as soon as it has met one', async () => {
    const { ids, opened, rotate } = setUp();
    expect(await ids('t', 'a')).toEqual(['t/a/1']);
    rotate();
    expect(await ids('t', 'a')).toEqual(['t/a/1']);
    expect(await opened('t', 't/a/2')).toEqual(['t/a/2']);
    expect(await ids('t', 'a')).toEqual(['t/a/2']);
  });

  it('takes no word for a version that is nowhere, nor for a key of another tenant', async () => {
    const { ids, opened, open, fetchKeys } = setUp();
    await ids('t', 'a');
    expect(await opened('t', 't/a/99', 'other/a/1')).toEqual([]);
    expect(await ids('t', 'a')).toEqual(['t/a/1']);
    expect(fetchKeys).toHaveBeenCalledTimes(1);
    expect(open.mock.calls).toEqual([['t', ['t/a/99']]]);
  });
});
