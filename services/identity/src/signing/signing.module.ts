import { Module } from '@nestjs/common';
import { Kms } from '@tenantry/crypto/kms';
import { Database } from '@tenantry/service/database';
import { KeysModule } from '../keys/keys.module.js';
import { PublicKeysRpc } from './public-keys.rpc.js';
import { RotateSigningKeyRpc } from './rotate-signing-key.rpc.js';
import { SignRpc } from './sign.rpc.js';
import { SigningKeys } from './signing-keys.js';

@Module({
  imports: [KeysModule],
  controllers: [SignRpc, PublicKeysRpc, RotateSigningKeyRpc],
  providers: [{ provide: SigningKeys, inject: [Database, Kms], useFactory: ({ pool }: Database, kms: Kms) => new SigningKeys(pool, kms) }],
  exports: [SigningKeys],
})
export class SigningModule {}
