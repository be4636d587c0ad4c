import type { Principal } from '@tenantry/contracts/route';
import { createApiKey, hashApiKey } from '@tenantry/crypto/api-key';
import { describe, expect, it, vi } from 'vitest';
import { Authenticator } from './authenticator.js';

const { key, hash } = createApiKey('live');
const principal: Principal = { kind: 'staff', id: 'admin', permissions: ['*'] };
const address = '192.0.2.1';

function given(found: Principal | null = principal) {
  let now = 0;
  const lookUp = vi.fn(async (keyHash: string) => (keyHash === hash ? found : null));
  const authenticator = new Authenticator({ lookUp, nowMs: () => now });
  return {
    lookUp,
    pass: (ms: number) => {
      now += ms;
    },
    ask: (header: string | undefined = `Bearer ${key}`) => authenticator.authenticate(header, address),
  };
}

describe('an API key', () => {
  it('is looked up by its hash, once for all who ask at the same time, and again after a second', async () => {
    const { ask, lookUp, pass } = given();
    expect(await Promise.all([ask(), ask(), ask(`bearer  ${key}`)])).toEqual([principal, principal, principal]);
    expect(lookUp.mock.calls).toEqual([[hashApiKey(key)]]);
    await ask();
    expect(lookUp).toHaveBeenCalledTimes(1);
    pass(1_001);
    await ask();
    expect(lookUp).toHaveBeenCalledTimes(2);
  });
  it('that is nobody’s is refused, and not looked up again for a second', async () => {
    const { ask, lookUp } = given(null);
    await expect(ask()).rejects.toMatchObject({ code: 'auth.unauthenticated' });
    await expect(ask()).rejects.toMatchObject({ code: 'auth.unauthenticated' });
    expect(lookUp).toHaveBeenCalledTimes(1);
  });
  it.each([
    undefined,
    '',
    'Basic abc',
    'Bearer',
    `Bearer ${key.slice(0, -1)}${key.endsWith('x') ? 'y' : 'x'}`,
    `Bearer ${key} more`,
    `Token ${key}`,
  ])('is not even looked up when it can be none: %s', async (header) => {
    const { ask, lookUp } = given();
    await expect(ask(header ?? '')).rejects.toMatchObject({ code: 'auth.unauthenticated' });
    expect(lookUp).not.toHaveBeenCalled();
  });
  it('is not believed to be bad because identity was away', async () => {
    const { ask, lookUp } = given();
    lookUp.mockRejectedValueOnce(new Error('away'));
    await expect(ask()).rejects.toThrow('away');
    await expect(ask()).resolves.toEqual(principal);
  });
});

describe('many failures from one address', () => {
  it('are told to slow down, and keys that work go on working', async () => {
    const { ask, pass } = given();
    await ask();
    for (let n = 0; n < 100; n++) await expect(ask('Bearer nonsense')).rejects.toMatchObject({ code: 'auth.unauthenticated' });
    await expect(ask('Bearer nonsense')).rejects.toMatchObject({ code: 'rate.limited', retryAfterSeconds: 1 });
    pass(1_001);
    await expect(ask()).resolves.toEqual(principal);
    await expect(ask('Bearer nonsense')).rejects.toMatchObject({ code: 'auth.unauthenticated' });
  });
});
