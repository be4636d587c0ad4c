import { Module } from '@nestjs/common';
import { KeysModule } from '../keys/keys.module.js';
import { KeyRotation } from './key-rotation.js';
import { RotateByAge } from './rotate-by-age.job.js';
import { SecureTenantRpc } from './secure-tenant.rpc.js';
import { TenantKeyRpc } from './tenant-key.rpc.js';

@Module({ imports: [KeysModule], controllers: [SecureTenantRpc, TenantKeyRpc], providers: [KeyRotation, RotateByAge] })
export class SecurityModule {}
