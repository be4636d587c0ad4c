import { randomBytes } from 'node:crypto';
import { DomainError } from '@tenantry/contracts/errors';
import { expect, it } from 'vitest';
import { EnsureKeysRpc } from './ensure-keys.rpc.js';

it('gives no key any more from the moment that it is destroyed, by whichever replica', async () => {
  const key = randomBytes(32);
  let isDestroyed = false;
  const store = {
    ensure: async (tenantId: string, subjects: string[]) => {
      if (isDestroyed) throw new DomainError('keys.destroyed');
      return { keys: subjects.map((subject) => ({ subject, id: `${tenantId}/${subject}/1`, key })), tenantKeyVersion: 1 };
    },
  };
  const rpc = new EnsureKeysRpc(store as never);
  const ask = () => rpc.handle({ tenantId: 't-1', subjects: ['contacts'] });
  expect(await ask()).toEqual({ keys: [{ subject: 'contacts', id: 't-1/contacts/1', key: key.toString('base64') }] });
  isDestroyed = true;
  await expect(ask()).rejects.toMatchObject({ code: 'keys.destroyed' });
});
