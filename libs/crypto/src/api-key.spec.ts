import { describe, expect, it } from 'vitest';
import { createApiKey, hashApiKey, parseApiKey } from './api-key.js';

describe('an API key', () => {
  it('has the documented form, a prefix to show and a hash to store', () => {
    const { key, prefix, hash } = createApiKey('live');
    expect(key).toMatch(/^tnt_live_[0-9A-Za-z]{34}$/);
    expect(key.startsWith(prefix)).toBe(true);
    expect(prefix).toHaveLength('tnt_live_'.length + 4);
    expect(hash).toBe(hashApiKey(key));
    expect(hash).toMatch(/^[0-9a-f]{64}$/);
    expect(parseApiKey(key)).toEqual({ environment: 'live', prefix });
  });

  it('is another one each time', () => {
    expect(new Set(Array.from({ length: 1000 }, () => createApiKey('test').key)).size).toBe(1000);
  });

  it('is told from a mistyped one without a look-up', () => {
    const { key } = createApiKey('live');
    for (let index = 'tnt_'.length; index < key.length; index++) {
      const typo = key[index] === 'x' ? 'y' : 'x';
      expect(parseApiKey(key.slice(0, index) + typo + key.slice(index + 1))).toBeNull();
    }
    for (const text of ['', 'tnt_live_', key.slice(1), `${key}0`, key.replace('live', 'test'), ` ${key}`, `${key}\n`])
      expect(parseApiKey(text)).toBeNull();
  });

  it('has an environment of a–z and 0–9', () => {
    expect(() => createApiKey('Live')).toThrow(RangeError);
    expect(() => createApiKey('a_b')).toThrow(RangeError);
  });
});
