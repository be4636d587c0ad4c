import { describe, expect, it } from 'vitest';
import { MemoryKeyring } from './memory-keyring.js';

describe('a keyring', () => {
  it('reveals what it encrypted, and gives clear values back as they are', async () => {
    const keyring = new MemoryKeyring();
    const sealed = await keyring.encrypt('t1', 'contacts', 'a@example.com');
    expect(await keyring.reveal('t1', sealed)).toBe('a@example.com');
    expect(await keyring.reveal('t1', 'clear')).toBe('clear');
    expect(await keyring.reveal('t1', 7)).toBe(7);
  });

  it("does not reveal another tenant's values", async () => {
    const keyring = new MemoryKeyring();
    const sealed = await keyring.encrypt('t1', 'contacts', 'a@example.com');
    await expect(keyring.reveal('t2', sealed)).rejects.toMatchObject({ code: 'keys.destroyed' });
  });

  it('reveals nothing once the keys are destroyed, nor with a newer key of the subject', async () => {
    const keyring = new MemoryKeyring();
    const sealed = await keyring.encrypt('t1', 'contacts', 'a@example.com');
    const newer = { enc: sealed.enc.replace('/1:', '/2:') };
    await expect(keyring.reveal('t1', newer)).rejects.toMatchObject({ code: 'keys.destroyed' });
    keyring.destroy('t1');
    await expect(keyring.reveal('t1', sealed)).rejects.toMatchObject({ code: 'keys.destroyed' });
    await expect(keyring.encrypt('t1', 'contacts', 'x')).rejects.toMatchObject({ code: 'keys.destroyed' });
  });

  it('makes HMACs that are the same for a tenant and a purpose only', async () => {
    const keyring = new MemoryKeyring();
    const index = await keyring.hmac('t1', 'email', 'a@example.com');
    expect(await keyring.hmac('t1', 'email', 'a@example.com')).toBe(index);
    for (const other of [keyring.hmac('t2', 'email', 'a@example.com'), keyring.hmac('t1', 'requests', 'a@example.com')]) {
      expect(await other).not.toBe(index);
    }
  });
});
