import { bootstrap } from '@tenantry/service/bootstrap';
import { AppModule } from './app.module.js';
import { DatabaseKeyring } from './keys/database-keyring.js';
import { KeyStore } from './keys/key-store.js';
import { KeysModule } from './keys/keys.module.js';

await bootstrap({
  service: 'identity',
  imports: [AppModule],
  // What others ask this service for, it reads from its own tables.
  keyring: { imports: [KeysModule], inject: [KeyStore], useFactory: (store: KeyStore) => new DatabaseKeyring(store) },
});
