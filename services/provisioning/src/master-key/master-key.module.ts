import { Module } from '@nestjs/common';
import { JobModule } from '../job/job.module.js';
import { RewrapKeys } from './rewrap-keys.job.js';
import { RewrapMasterKeyRpc } from './rewrap-master-key.rpc.js';

@Module({ imports: [JobModule], controllers: [RewrapMasterKeyRpc], providers: [RewrapKeys] })
export class MasterKeyModule {}
