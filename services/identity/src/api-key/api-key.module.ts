import { Module } from '@nestjs/common';
import { Keyring } from '@tenantry/crypto/keyring';
import { Database } from '@tenantry/service/database';
import { ApiKeyTable } from './api-key-table.js';
import { AuthenticateRpc } from './authenticate.rpc.js';
import { BootstrapKey } from './bootstrap-key.js';
import { CreatePlatformKeyRpc } from './create-platform-key.rpc.js';
import { CreateTenantKeyRpc } from './create-tenant-key.rpc.js';
import { IssueProbeKeyRpc } from './issue-probe-key.rpc.js';
import { ListPlatformKeysRpc } from './list-platform-keys.rpc.js';
import { ListTenantKeysRpc } from './list-tenant-keys.rpc.js';
import { People } from './people.js';
import { RevokePlatformKeyRpc } from './revoke-platform-key.rpc.js';
import { RevokeTenantKeyRpc } from './revoke-tenant-key.rpc.js';

@Module({
  controllers: [
    AuthenticateRpc,
    CreateTenantKeyRpc,
    ListTenantKeysRpc,
    RevokeTenantKeyRpc,
    CreatePlatformKeyRpc,
    IssueProbeKeyRpc,
    ListPlatformKeysRpc,
    RevokePlatformKeyRpc,
  ],
  providers: [
    {
      provide: ApiKeyTable,
      inject: [Database, Keyring],
      useFactory: ({ pool }: Database, keyring: Keyring) => new ApiKeyTable(pool, keyring),
    },
    People,
    BootstrapKey,
  ],
  exports: [ApiKeyTable],
})
export class ApiKeyModule {}
