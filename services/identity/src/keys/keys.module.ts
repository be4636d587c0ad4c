import { Module } from '@nestjs/common';
import { Kms, LocalKms } from '@tenantry/crypto/kms';
import { Database } from '@tenantry/service/database';
import { Environment } from '@tenantry/service/environment';
import { DestroyExportKeyRpc } from './destroy-export-key.rpc.js';
import { EnsureKeysRpc } from './ensure-keys.rpc.js';
import { KeyStore } from './key-store.js';
import { MasterKeyRpc } from './master-key.rpc.js';
import { MasterKeys } from './master-keys.js';
import { OpenKeysRpc } from './open-keys.rpc.js';
import { TenantKeys, TenantLogStore } from './tenant-keys.store.js';

@Module({
  controllers: [EnsureKeysRpc, OpenKeysRpc, MasterKeyRpc, DestroyExportKeyRpc],
  providers: [
    {
      provide: Kms,
      inject: [Environment],
      useFactory: ({ values }: Environment) => {
        const path = values.TENANTRY_KMS_KEY_FILE;
        if (path === undefined) throw new Error('TENANTRY_KMS_KEY_FILE: identity needs the file of the master key');
        return LocalKms.fromFile(path);
      },
    },
    TenantKeys,
    TenantLogStore,
    {
      provide: MasterKeys,
      inject: [Database, Kms],
      useFactory: async ({ pool }: Database, kms: Kms) => {
        const keys = new MasterKeys(pool, kms);
        await keys.demandAll();
        return keys;
      },
    },
    { provide: KeyStore, inject: [Database, Kms], useFactory: ({ pool }: Database, kms: Kms) => new KeyStore(pool, kms) },
  ],
  exports: [KeyStore, Kms],
})
export class KeysModule {}
