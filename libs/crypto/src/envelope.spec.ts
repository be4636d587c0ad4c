import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { hmacWith, isEncrypted, keyId, open, openBytes, parseKeyId, seal, sealBytes } from './envelope.js';

const key = { id: keyId('t1', 'member-1', 1), key: randomBytes(32) };
const binding = { tenantId: 't1', subject: 'member-1' };

describe('an encrypted value', () => {
  it('opens to what was sealed: text as text, anything else as the same JSON value', () => {
    for (const value of ['', 'Größe \u{1f600}', '{"a":1}', 7, true, null, [1, 'x'], { a: { b: 'c' } }]) {
      const sealed = seal(key, binding, value);
      expect(isEncrypted(sealed)).toBe(true);
      expect(open(key, binding, sealed)).toEqual(value);
    }
  });

  it('names its key, and is nonce, ciphertext and tag in base64', () => {
    const { enc } = seal(key, binding, 'hello');
    const [id, sealed] = enc.split(':');
    expect(id).toBe('t1/member-1/1');
    expect(Buffer.from(sealed as string, 'base64')).toHaveLength(12 + 1 + 5 + 16);
    expect(parseKeyId({ enc })).toEqual({ id: 't1/member-1/1', tenantId: 't1', subject: 'member-1', version: 1 });
    expect(() => parseKeyId({ enc: 'nonsense' })).toThrow();
  });

  it('is another one each time', () => {
    const all = new Set(Array.from({ length: 1000 }, () => seal(key, binding, 'hello').enc));
    expect(all.size).toBe(1000);
  });

  it('opens with no other key, tenant, subject or purpose, and not when a bit is changed', () => {
    const sealed = seal(key, binding, 'hello');
    expect(() => open({ ...key, key: randomBytes(32) }, binding, sealed)).toThrow();
    const others = [{ tenantId: 't2' }, { subject: 'member-2' }, { purpose: 'other' }];
    for (const other of others) expect(() => open(key, { ...binding, ...other }, sealed)).toThrow();
    const bytes = sealBytes(key.key, Buffer.from('hello'), Buffer.from('aad'));
    for (let index = 0; index < bytes.length; index++) {
      const changed = Buffer.from(bytes);
      changed[index] = (changed[index] as number) ^ 1;
      expect(() => openBytes(key.key, changed, Buffer.from('aad'))).toThrow();
    }
    expect(() => openBytes(key.key, bytes.subarray(0, 20), Buffer.from('aad'))).toThrow('too short');
  });
});

describe('an HMAC', () => {
  it('depends on key, purpose and text', () => {
    const other = { ...key, key: randomBytes(32) };
    const all = [hmacWith(key, 'a', 'x'), hmacWith(key, 'b', 'x'), hmacWith(key, 'a', 'y'), hmacWith(other, 'a', 'x')];
    expect(new Set(all).size).toBe(4);
    expect(hmacWith(key, 'a', 'x')).toBe(all[0]);
    expect(all[0]).toMatch(/^[0-9a-f]{64}$/);
  });
});
