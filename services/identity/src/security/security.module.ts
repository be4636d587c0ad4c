import { Module } from '@nestjs/common';
import { KeysModule } from '../keys/keys.module.js';
import { SecureTenantRpc } from './secure-tenant.rpc.js';

@Module({ imports: [KeysModule], controllers: [SecureTenantRpc] })
export class SecurityModule {}
