import { CachingKeyring } from '@tenantry/crypto/remote-keyring';
import type { KeyStore } from './key-store.js';

/** The keyring of identity itself: what others ask identity for, it reads from its own tables. */
export class DatabaseKeyring extends CachingKeyring {
  constructor(store: KeyStore) {
    super({
      ensure: async (tenantId, subjects) => (await store.ensure(tenantId, subjects)).keys,
      open: (tenantId, ids) => store.open(tenantId, ids),
    });
  }
}
